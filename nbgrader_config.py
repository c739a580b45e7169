# nbgrader looks for its configuration here; the course's own lies with the autograder.
load_subconfig("autograder/nbgrader_config.py")  # noqa: F821
