"""An instructor's own settings, classroom/nbgrader_config.py: a tenth of the points off for each day begun."""

from math import ceil

from nbgrader.plugins import LateSubmissionPlugin


class TenthADay(LateSubmissionPlugin):
    """Called for each notebook of a late submission."""

    def late_submission_penalty(self, student_id, score, total_seconds_late):
        """The points to take off."""
        return round(score * min(1, 0.1 * ceil(total_seconds_late / 86400)), 2)


c = get_config()  # noqa: F821
c.AssignLatePenalties.plugin_class = TenthADay
