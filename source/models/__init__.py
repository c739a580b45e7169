"""The course's own models, one readable file each. Nothing is imported here: name the file you want."""
