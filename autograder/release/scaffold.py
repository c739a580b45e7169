"""`course new`: writes a new lab's files, each in its place, with an example exercise that passes every proof."""

import re
from pathlib import Path

from autograder.facts import PARTS
from autograder.paths import ROOT

NOTEBOOK = '''# ---
# jupyter:
#   course:
#     title: {title}
#     level: intermediate
#     minutes: 10
#     hardware: cpu
#     builds: "`double`: replace this with what the learner builds, in one sentence."
#     goals:
#     - Double a tensor without changing it
#     - Say what broadcasting keeps
#     needs:
#     - Tensors
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import torch

from autograder import check

# %% [markdown]
# ## A question first
#
# Open with a picture or a number that makes the question felt, before any formula.

# %% [markdown]
# ## Step 1. Double
#
# The idea in a paragraph, then the formula, then the same in shapes: `x (T, D)` gives `(T, D)`.

# %% nbgrader={{"grade_id": "double", "solution": true}}
def double(x: torch.Tensor) -> torch.Tensor:
    """Twice each entry.

    x: (T, D). Returns (T, D).

    >>> double(torch.tensor([[1.0, 2.0]]))
    tensor([[2., 4.]])
    """
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


# %% nbgrader={{"grade_id": "check_double", "grade": true}}
check("{lab}/double", double)

# %% [markdown]
# **Look at it.** A plot, a widget or a measured table that uses what was just built, with a question that can only
# be answered by looking.

# %% [markdown]
# ## What you built
#
# - Three lines, and where it is used next.
#
# ## Going further
#
# - The paper, the production code to read, one open-ended extension.
'''

CHECKS = '''"""Lab {number}, the student's half: how `double` is driven."""

from autograder.cases import Draw
from autograder.exercise import Case, Exercise


def _double_cases():
    d = Draw({seed})
    return [Case("two rows", {{"x": d.normal(2, 3)}}), Case("one entry", {{"x": d.normal(1, 1)}})]


double = Exercise(
    name="double",
    title="Double",
    minutes=5,
    difficulty=1,
    points=1,
    act=lambda f, i: {{"out": f(i["x"])}},
    visible=_double_cases,
    shapes={{"out": "(T, D)"}},
    hints=("Which operator multiplies every entry at once?", "return 2 times x"),
)
'''

ANSWERS = '''"""Lab {number}, the instructor's half: references, hidden cases, misconceptions."""

from autograder.cases import Draw, transposed
from autograder.exercise import Answer, Case, Misconception


def _double_hidden(seed):
    d = Draw(seed)
    return [
        Case("an empty batch", {{"x": d.normal(0, 3)}}),
        Case("many rows", {{"x": d.normal(7, 5)}}),
        Case("a non-contiguous input", {{"x": transposed(d.normal(3, 4))}}),
    ]


double = Answer(
    name="double",
    reference=lambda i: {{"out": i["x"] + i["x"]}},
    hidden=_double_hidden,
    misconceptions=(
        Misconception("square", "each entry is squared instead of doubled", edits=(("2 * x", "x**2"),)),
        Misconception("plus-two", "2 is added instead of multiplied", edits=(("2 * x", "2 + x"),)),
        Misconception("in-place", "the input itself is doubled", edits=(("2 * x", "x.mul_(2)"),)),
    ),
)
'''

INDEX = """---
course:
  part: "{part}"
---
# {title}

What this chapter is about, and how to work through it.

```{{chapter-contents}}
```
"""


class CannotScaffold(ValueError):
    """The lab cannot be written; the message says what to change. Nothing was written."""


def scaffold(lab: str, title: str, chapter: str | None, part: str | None) -> list[Path]:
    """Write a new lab's files; returns them. Raises CannotScaffold and then writes nothing."""
    match = re.fullmatch(r"ch(\d\d)/lab(\d\d)", lab)
    if not match:
        raise CannotScaffold(f"name the lab like ch02/lab01, not {lab!r}")
    slug = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
    if not slug or ":" in title:
        raise CannotScaffold("give a title of letters and digits, without a colon")
    folder = _chapter_folder(match[1], chapter)
    stem = f"lab{match[2]}_{slug}"
    taken = sorted((ROOT / "notebooks/instructor" / folder).glob(f"lab{match[2]}_*.py"))
    if taken:
        raise CannotScaffold(f"{lab} is taken by {taken[0].name}")
    facts = {
        "lab": lab,
        "title": title,
        "number": f"{int(match[1])}.{int(match[2])}",
        "seed": int(match[1] + match[2]) * 10,
    }
    files = {
        ROOT / f"notebooks/instructor/{folder}/{stem}.py": NOTEBOOK.format(**facts),
        ROOT / f"autograder/checks/{folder}/{stem}.py": CHECKS.format(**facts),
        ROOT / f"autograder/answers/{folder}/{stem}.py": ANSWERS.format(**facts),
    }
    for half, what in (("checks", "Checks"), ("answers", "Answers")):
        init = ROOT / f"autograder/{half}/{folder}/__init__.py"
        if not init.exists():
            files[init] = f'"""{what} of Chapter {int(match[1])}."""\n'
    index = ROOT / f"book/{folder}/index.md"
    if not index.exists():
        if not part or part.split(".")[0] not in PARTS:
            raise CannotScaffold(f'a new chapter needs its part: --part "III. Attention Variants", not {part!r}')
        name = folder.split("_", 1)[1].replace("_", " ").title()
        files[index] = INDEX.format(part=part, title=name)
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return list(files)


def _chapter_folder(number: str, chapter: str | None) -> str:
    there = sorted((ROOT / "book").glob(f"ch{number}_*"))
    if there:
        return there[0].name
    if not chapter or not re.fullmatch(r"[a-z0-9_]+", chapter):
        raise CannotScaffold(
            f"chapter {int(number)} is new: name its folder with --chapter, in lower case with underscores, like "
            f"--chapter linear_attention; not {chapter!r}"
        )
    return f"ch{number}_{chapter}"
