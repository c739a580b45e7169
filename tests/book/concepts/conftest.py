"""A concept's card in a browser, straight from the source tree: driven as a reader does, by mouse and by keys."""

import pytest


class Card:
    """One concept's element on an empty page."""

    def __init__(self, page, name: str) -> None:
        self.page, self.name = page, name

    def call(self, function: str, *arguments: object) -> object:
        """What a function that the module exports returns, for plain arguments."""
        script = "([name, f, all]) => import(`/book/concepts/${name}.js`).then(m => m[f](...all))"
        return self.page.evaluate(script, [self.name, function, list(arguments)])

    def state(self) -> dict[str, object]:
        return self.page.evaluate("() => document.querySelector('.live').state")

    def words(self) -> str:
        return self.page.inner_text(".concept-words")

    def slide(self, label: str, keys: str, times: int = 1) -> None:
        """Press a key on the control of this label, as somebody without a mouse does."""
        control = self.page.get_by_label(label, exact=True)
        for _ in range(times):
            control.press(keys)

    def answer(self, reply: str) -> str:
        """The verdict on a reply typed into the question's field, or on the option of these words."""
        field = self.page.query_selector(".concept-question input")
        if field:
            field.fill(reply)
            field.press("Enter")
        else:
            self.page.get_by_role("button", name=reply, exact=True).click()
        return self.page.inner_text(".concept-verdict")

    def drag(self, label: str, dx: float, dy: float) -> None:
        """Drag a handle of the picture by so many screen pixels."""
        place = self.page.get_by_role("slider", name=label, exact=True).bounding_box()
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + dx, y + dy, steps=4)
        self.page.mouse.up()


@pytest.fixture
def card(open_source):
    """Opens a concept's element."""

    def open_card(name: str, width: int = 800) -> Card:
        tag = f"course-{name.replace('_', '-')}"
        page = open_source(f"<{tag}></{tag}><script type=module src=/book/concepts/{name}.js></script>")
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_selector(".concept-picture")
        # The width is told a frame after the first drawing, and a narrow card is then drawn anew.
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return Card(page, name)

    return open_card
