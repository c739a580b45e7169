"""The course's own tokenizers, one readable file each. Nothing is imported here: name the file you want."""
