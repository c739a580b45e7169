"""The instructor's half of every exercise, one file a lab: references, hidden cases, misconceptions. Never shipped."""
