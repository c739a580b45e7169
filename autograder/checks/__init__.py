"""The student's half of every exercise, one file a lab: acts, visible cases, properties, hints."""
