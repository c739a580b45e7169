"""Runs hand-ins apart from the judge, fills nbgrader's gradebook, writes feedback. Instructors only."""
