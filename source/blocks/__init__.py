"""The parts of transformer blocks, one readable file each. Nothing is imported here: name the file you want."""
