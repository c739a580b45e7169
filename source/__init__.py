"""The course's shared code: what the labs import. It knows nothing of checks or notebooks."""
