"""Automatic differentiation from scratch, one readable file each. Nothing is imported here: name the file you want."""
