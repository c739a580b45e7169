"""From token ids to training batches, one readable file a step. Nothing is imported here: name the file you want."""
