"""A verdict: what the outcomes of an exercise's cases add up to, as text and HTML. It compares nothing."""

import html
import math
from dataclasses import dataclass, field

from autograder.judging import Outcome


@dataclass
class Verdict:
    """One exercise, judged. `hidden[i]` tells whether case i is hidden: of those only the kind is ever shown."""

    id: str
    title: str
    max_points: float
    outcomes: list[Outcome]
    hidden: list[bool]
    diagnosis: str = ""  # "Your output equals what you get when ..."
    misconception: str = ""  # its name
    hints: tuple[str, ...] = ()
    note: str = ""
    lines: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = self._lines()

    @property
    def passed(self) -> bool:
        """Every case passed, and there was at least one."""
        return bool(self.outcomes) and all(o.passed for o in self.outcomes)

    @property
    def points(self) -> float:
        """The share of cases passed, rounded down to a hundredth: no point without a right answer."""
        if not self.outcomes or any(o.stage.startswith("a call that") for o in self.outcomes):
            return 0.0
        share = sum(o.passed for o in self.outcomes) / len(self.outcomes)
        return math.floor(self.max_points * share * 100 + 1e-9) / 100

    def _lines(self) -> list[str]:
        if not self.outcomes:
            return [self.note or "no case was run"]
        failing = [(o, h) for o, h in zip(self.outcomes, self.hidden, strict=True) if not o.passed]
        passed = len(self.outcomes) - len(failing)
        if not failing:
            worst = max(self.outcomes, key=lambda o: o.error / o.tolerance if o.tolerance else 0)
            error = (
                f"; the largest error is {worst.error:.2g}, allowed is {worst.tolerance:g}" if worst.tolerance else ""
            )
            return [f"all {passed} cases pass{error}", *([self.note] if self.note else [])]
        # A visible failure teaches most: show it first.
        outcome, is_hidden = next(((o, h) for o, h in failing if not h), failing[0])
        lines = []
        if len(self.outcomes) > 1 and outcome.stage != "not implemented yet":
            lines.append(f"{passed} of {len(self.outcomes)} cases pass")
        if outcome.stage == "not implemented yet":
            # In a hidden case even this text is the student's code speaking of the inputs.
            lines += ["not implemented yet", *[f"  {line}" for line in outcome.lines if not is_hidden]]
        elif is_hidden:
            lines.append(f"{outcome.stage} in a hidden case: {outcome.kind}")
        else:
            lines += [f"{outcome.stage} in the case: {outcome.kind}", *[f"  {line}" for line in outcome.lines]]
        others = [o.kind for o, h in failing if h and o is not outcome and o.stage != "not implemented yet"]
        if others:
            lines.append("hidden cases that fail too: " + ", ".join(dict.fromkeys(others)))
        if self.diagnosis:
            lines.append(self.diagnosis)
        if self.hints and outcome.stage != "not implemented yet":
            lines.append(f"Read hint 1 of {len(self.hints)} below this cell: {self.hints[0]}")
        if self.note:
            lines.append(self.note)
        return lines

    @property
    def headline(self) -> str:
        mark = "✓" if self.passed else "✗"
        return f"{mark} {self.title}: {self.points:g} of {self.max_points:g} points"

    def text(self) -> str:
        """The verdict for a terminal."""
        return "\n".join([self.headline, *[f"  {line}" for line in self.lines]])

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        # Inline styles only, and no background: it must read in light and dark, on every notebook platform.
        color = "#2e8b57" if self.passed else "#d9822b"
        body = html.escape("\n".join(self.lines))
        return (
            f'<div class="verdict" style="border-left:4px solid {color};padding:0.2em 0.8em;margin:0.4em 0">'
            f"<strong>{html.escape(self.headline)}</strong>"
            f'<pre style="white-space:pre-wrap;background:none;border:0;margin:0.3em 0 0;padding:0">{body}</pre></div>'
        )


class Points(float):
    """What `check` returns: nbgrader reads the number as the cell's partial credit."""

    def __repr__(self) -> str:
        return f"{float(self):g}"

    def _repr_html_(self) -> str:
        return ""
