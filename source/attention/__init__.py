"""The course's own attention, one readable file each. Nothing is imported here: name the file you want."""
