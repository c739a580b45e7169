"""The grading benchmark: measures `course grade` on classes that it makes up. It changes nothing of the engine."""
