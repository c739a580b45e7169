"""Self-check questions in pages: multiple choice or a number, each wrong answer explained. It keeps no score.

    ```{self-check}
    ask: How many scores does one head compute for 10 queries and 50 keys?
    answer: 500
    why: Each query meets each key once.
    wrong:
    - {when: 60, why: "That adds them: a score belongs to a pair."}
    otherwise: Draw the matrix of scores and count its entries.
    ```

With `options` in place of `answer`, each has `say` and `why`, and at least one `right: true`.
"""

from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from book._ext.markdown import block, inline, parsed, raw


class BadQuestion(ValueError):
    """A question lacks something; the message says what."""


def question(text: str) -> dict[str, Any]:
    """A question's fields, checked. Raises BadQuestion."""
    try:
        told = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadQuestion(f"the question is not YAML: {error}") from error
    if not isinstance(told, dict) or not told.get("ask"):
        raise BadQuestion("a question needs `ask`")
    if ("options" in told) == ("answer" in told):
        raise BadQuestion("give either `options` or `answer`")
    if "options" in told:
        options = told["options"]
        if len(options) < 2 or any(not o.get("say") or not o.get("why") for o in options):
            raise BadQuestion("give two options or more, each with `say` and `why`")
        if not any(o.get("right") for o in options) or all(o.get("right") for o in options):
            raise BadQuestion("some options must be right (`right: true`) and some wrong")
    else:
        if not isinstance(told["answer"], int | float):
            raise BadQuestion(f"`answer` is {told['answer']!r}: give a number")
        if not told.get("why") or not told.get("wrong") or not told.get("otherwise"):
            raise BadQuestion("a numeric question needs `why`, `wrong` (when, why) and `otherwise`")
        within = told.get("within", 0)
        for wrong in told["wrong"]:
            if not isinstance(wrong.get("when"), int | float) or not wrong.get("why"):
                raise BadQuestion("each entry of `wrong` needs a number `when`, and `why`")
            if abs(wrong["when"] - told["answer"]) <= within:
                raise BadQuestion(f"{wrong['when']} is named as wrong and is within {within} of the answer")
    return told


class SelfCheck(SphinxDirective):
    """```{self-check}``` with YAML as its content."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        try:
            told = question("\n".join(self.content))
        except BadQuestion as error:
            raise self.error(str(error)) from error
        up = "../" * self.env.docname.count("/")
        script = raw(f'<script type="module" src="{up}_static/js/self_check.js"></script>')
        ask = block("check-ask", children=parsed(self, str(told["ask"])))
        shown = self._options(told) if "options" in told else self._number(told)
        return [raw("<course-self-check>"), ask, *shown, raw("</course-self-check>"), script]

    def _options(self, told: dict[str, Any]) -> list[nodes.Node]:
        shown: list[nodes.Node] = [raw('<ol class="check-options">')]
        for option in told["options"]:
            right = "true" if option.get("right") else "false"
            shown += [raw(f'<li data-right="{right}"><span class="check-say">'), *inline(self, str(option["say"]))]
            shown += [raw("</span>"), *self._why(option["why"], "Why, or why not"), raw("</li>")]
        return [*shown, raw("</ol>")]

    def _number(self, told: dict[str, Any]) -> list[nodes.Node]:
        unit = str(told.get("unit", ""))
        answer = f"{told['answer']} {unit}".strip()  # bold, as "1. " at the beginning of a line would be a list
        head = f'<div class="check-number" data-answer="{told["answer"]}" data-within="{told.get("within", 0)}">'
        # Without scripts the answer can be unfolded; the explanations of wrong ones stand in the page for the script.
        shown: list[nodes.Node] = [raw(head + f'<span class="check-unit">{unit}</span>')]
        shown += [raw('<div class="check-right">'), *self._why(told["why"], "Answer", f"**{answer}.** ")]
        shown.append(raw('</div><div class="check-wrong" hidden>'))
        for wrong in told["wrong"]:
            shown += [raw(f'<div data-when="{wrong["when"]}">'), *parsed(self, str(wrong["why"])), raw("</div>")]
        return [
            *shown,
            raw('<div class="check-otherwise">'),
            *parsed(self, str(told["otherwise"])),
            raw("</div></div></div>"),
        ]

    def _why(self, text: str, title: str, before: str = "") -> list[nodes.Node]:
        opening = raw(f'<details class="check-why"><summary>{title}</summary>')
        return [opening, *parsed(self, before + str(text)), raw("</details>")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("self-check", SelfCheck)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
