"""The frame of every concept card, tried on one that means nothing: controls, handles, playing, questions, access."""

from datetime import datetime

import pytest

STILL = "<figure><div class=course-drawings>the still picture</div><figcaption>the caption</figcaption></figure>"
COLOURS = "<style>:root { --pst-color-primary: #0a7d91 }</style>"  # the theme's, which a built page has
ELEMENT = f"<course-trial class=course-concept>{STILL}</course-trial>"
CONTROLS = """
    { name: "size", label: "Size", kind: "range", min: 0, max: 10, step: 1, show: (n) => `${n} units` },
    { name: "fruit", label: "Fruit", kind: "choice", options: [[7, "apple"], [9, "pear"]] },
    { name: "on", label: "Switched on", kind: "switch" },
    { name: "words", label: "Words", kind: "text", longest: 5 },
    { name: "more", label: "Two more", kind: "button", press: ({ size }) => ({ size: size + 2 }) },
    { name: "extra", label: "Extra", kind: "range", min: 0, max: 3, step: 1, when: ({ on }) => on },"""
PLAY = """{ name: "play", label: "Play", kind: "play", first: { size: 0 },
      advance: ({ size }) => (size < 4 ? { size: size + 1 } : null), STEP },"""
OPTIONS = """{ ask: "Which is even?", options: [[3, "three"], [4, "four"]],
    judge: (reply) => (reply % 2 ? { right: false, why: `${reply} leaves one.` } : { right: true, why: "Halves." }) }"""
NUMBER = """{ ask: "How many?", unit: "pieces",
    judge: (reply) => (reply === 2.5 ? { right: true, why: "So it is." } : { right: false, why: `Not ${reply}.` }) }"""


def module(controls: str = CONTROLS, question: str = "null", handles: bool = True) -> str:
    """A card named trial. Its picture writes what it was given; handles: whether it has one, dragged along x."""
    return f"""<script type=module>
import {{ defineConcept, handle }} from "/_static/js/concept.js";
import {{ picture, rect, text }} from "/_static/js/svg.js";
defineConcept("trial", {{
  start: {{ size: 1, fruit: 9, on: false, words: "hi", extra: 2 }},
  controls: [{controls}],
  compute: ({{ size, fruit }}) => ({{ product: size * fruit }}),
  draw({{ product }}, {{ size }}, set, narrow) {{
    const svg = picture(200, 100, "a picture of nothing");
    svg.append(text(100, 20, `${{narrow ? "narrow" : "wide"}} ${{product}}`));
    const to = (value) => set({{ size: Math.min(10, Math.max(0, Math.round(value))) }});
    const grip = rect(20 * size - 10, 40, 20, 20);
    if ({str(handles).lower()}) svg.append(handle(grip, {{ name: "grip", label: "the grip", value: `${{size}} units`, high: 10, keys: (dx, dy) => to(size + dx + 2 * dy), move: (x) => to(x / 20) }}));
    return svg;
  }},
  tell: ({{ product }}, {{ words }}) => `${{words}}: ${{product}}`,
  question: {question},
}});
</script>"""  # noqa: E501


@pytest.fixture
def trial(open_source):
    def open_trial(*, context=None, element: str = ELEMENT, width: int = 800, **told):
        page = open_source(COLOURS + element + module(**told), context=context)
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_selector(".concept-picture")
        return page

    return open_trial


def state(page):
    return page.evaluate("() => document.querySelector('.live').state")


def words(page):
    return page.inner_text(".concept-words")


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


# Controls


def test_every_control_writes_its_part_of_the_state_and_all_that_is_shown_follows(trial):
    page = trial()
    page.get_by_label("Size").press("ArrowRight")
    assert state(page)["size"] == 2
    page.get_by_label("Fruit").select_option("apple")
    assert state(page)["fruit"] == 7
    page.get_by_label("Switched on").press("Space")
    assert state(page)["on"] is True
    page.get_by_label("Words").fill("moved")
    assert state(page)["words"] == "moved"
    press(page, "Two more")
    assert state(page)["size"] == 4
    assert words(page) == "moved: 28"
    assert page.locator(".concept-picture text").text_content() == "wide 28"


def test_a_slider_shows_and_says_its_value_in_words(trial):
    page = trial()
    size = page.get_by_label("Size")
    assert size.get_attribute("aria-valuetext") == "1 units"
    press(page, "Two more")
    assert size.get_attribute("aria-valuetext") == "3 units"
    assert size.input_value() == "3"
    assert page.locator("output").first.text_content() == "3 units"


def test_a_line_of_text_is_cut_at_its_longest_and_keeps_the_cursor(trial):
    page = trial()
    field = page.get_by_label("Words")
    field.press("Home")
    page.keyboard.type("abcdef")
    assert state(page)["words"] == "abchi"


def test_a_control_without_anything_to_move_is_hidden(trial):
    page = trial()
    assert page.get_by_label("Extra").is_hidden()
    page.get_by_label("Switched on").check()
    assert page.get_by_label("Extra").is_visible()
    press(page, "Reset")
    assert page.get_by_label("Extra").is_hidden()


def test_reset_brings_back_the_state_and_what_the_controls_show(trial):
    page = trial()
    start, said = state(page), words(page)
    page.get_by_label("Size").press("End")
    page.get_by_label("Fruit").select_option("apple")
    page.get_by_label("Switched on").check()
    page.get_by_label("Words").fill("other")
    assert state(page) != start
    press(page, "Reset")
    assert state(page) == start
    assert words(page) == said
    assert page.get_by_label("Size").input_value() == "1"
    assert page.get_by_label("Fruit").input_value() == "pear"
    assert not page.get_by_label("Switched on").is_checked()
    assert page.get_by_label("Words").input_value() == "hi"


def test_two_cards_on_a_page_have_labels_of_their_own(trial):
    page = trial(element=ELEMENT + ELEMENT)
    page.get_by_label("Size").nth(1).press("ArrowRight")
    assert page.evaluate("[...document.querySelectorAll('.live')].map(card => card.state.size)") == [1, 2]
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(node => node.id)")
    assert len(set(ids)) == len(ids)


def test_everything_is_reached_by_tab_in_its_order_with_an_outline_around_it(trial):
    page = trial(question=OPTIONS)
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("(e => e.getAttribute('aria-label') ?? e.textContent)(document.activeElement)"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached[0] == "the grip"
    assert reached[-4:] == ["Two more", "Reset", "three", "four"]


# Handles


def test_a_handle_says_what_it_is_and_where_it_stands(trial):
    grip = trial().get_by_role("slider", name="the grip")
    told = {name: grip.get_attribute(f"aria-{name}") for name in ("valuetext", "valuenow", "valuemin", "valuemax")}
    assert told == {"valuetext": "1 units", "valuenow": "1", "valuemin": "0", "valuemax": "10"}


def test_a_handle_keeps_the_focus_when_the_picture_is_drawn_anew(trial):
    page = trial()
    page.get_by_role("slider", name="the grip").focus()
    before = page.evaluate_handle("document.activeElement")
    for key in ("ArrowRight", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    assert state(page)["size"] == 3
    assert page.evaluate("document.activeElement.getAttribute('data-handle')") == "grip"
    assert page.evaluate("before => before.isConnected", before) is False


def test_the_focus_stays_where_it_is_when_a_control_moves_the_picture(trial):
    page = trial()
    page.get_by_label("Size").press("ArrowRight")
    assert page.evaluate("document.activeElement.type") == "range"


def test_other_keys_are_left_to_the_page(trial):
    page = trial()
    page.evaluate("addEventListener('keydown', event => { window.prevented = event.defaultPrevented })")
    page.get_by_role("slider", name="the grip").press("PageDown")
    assert page.evaluate("window.prevented") is False
    page.get_by_role("slider", name="the grip").press("ArrowDown")
    assert page.evaluate("window.prevented") is True


@pytest.mark.parametrize("width", [390, 800])
def test_a_handle_follows_the_mouse_in_the_pictures_units_until_it_is_let_go(trial, width):
    page = trial(width=width)
    frame = page.locator(".concept-picture").bounding_box()
    at = lambda x: (frame["x"] + frame["width"] * x / 200, frame["y"] + frame["height"] * 50 / 100)  # noqa: E731
    page.mouse.move(*at(20))
    page.mouse.down()
    page.mouse.move(*at(80), steps=3)
    assert state(page)["size"] == 4
    page.mouse.move(*at(140), steps=3)
    assert state(page)["size"] == 7
    page.mouse.up()
    page.mouse.move(*at(20), steps=3)
    assert state(page)["size"] == 7
    assert page.evaluate("document.activeElement.getAttribute('data-handle')") == "grip"


def test_a_handle_follows_a_finger(trial, browser):
    context = browser.new_context(viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True)
    page = trial(context=context, width=390)
    frame = page.locator(".concept-picture").bounding_box()
    touch = context.new_cdp_session(page)

    def finger(kind, x=None):
        points = (
            [] if x is None else [{"x": frame["x"] + frame["width"] * x / 200, "y": frame["y"] + frame["height"] / 2}]
        )
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    finger("touchStart", 20)
    for x in range(40, 121, 20):
        finger("touchMove", x)
    finger("touchEnd")
    assert state(page)["size"] == 6
    assert page.evaluate("scrollY") == 0


def test_a_picture_with_handles_is_a_group_and_one_without_an_image(trial):
    assert trial().get_by_role("group", name="a picture of nothing").count() == 1
    assert trial(handles=False).get_by_role("img", name="a picture of nothing").count() == 1


# Width


def test_the_picture_is_drawn_anew_for_a_narrow_page_and_the_state_stays(trial):
    page = trial()
    press(page, "Two more")
    page.set_viewport_size({"width": 390, "height": 700})
    page.wait_for_function("document.querySelector('.concept-picture text').textContent === 'narrow 27'")
    page.set_viewport_size({"width": 800, "height": 700})
    page.wait_for_function("document.querySelector('.concept-picture text').textContent === 'wide 27'")


def test_on_a_phone_all_controls_fit_and_are_as_large_as_a_finger_needs(trial):
    page = trial(width=390, question=NUMBER)
    page.get_by_label("Switched on").check()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for control in page.locator(".concept-live :is(input, select, button)").all():
        place = control.bounding_box()
        assert min(place["width"], place["height"]) >= 24, control.evaluate("node => node.outerHTML")


# Playing


@pytest.fixture
def playing(trial, browser):
    """A card that plays, on a page whose clock the test turns. less: its reader asked for less motion."""

    def open_playing(step: bool = True, less: bool = False):
        context = browser.new_context(reduced_motion="reduce" if less else "no-preference")
        context.clock.install(time=datetime(2026, 1, 1))
        page = trial(context=context, controls=PLAY.replace("STEP", 'step: "Step"' if step else ""))
        page.clock.pause_at(datetime(2026, 1, 2))
        return page

    return open_playing


def sizes(page, seconds):
    """The state's size after each second."""
    seen = []
    for _ in range(seconds):
        page.clock.run_for(1000)
        seen.append(state(page)["size"])
    return seen


def test_nothing_moves_before_play_is_pressed(playing):
    assert sizes(playing(), 4) == [1, 1, 1, 1]


def test_play_steps_to_the_end_stops_there_and_begins_again(playing):
    page = playing()
    press(page, "Play")
    assert state(page)["size"] == 2
    assert sizes(page, 3) == [3, 4, 4]
    press(page, "Play")
    assert state(page)["size"] == 1
    assert sizes(page, 4)[-1] == 4


@pytest.mark.parametrize(("button", "then"), [("Pause", 2), ("Step", 3), ("Reset", 1)])
def test_playing_ends_with_pause_step_or_reset(playing, button, then):
    page = playing()
    press(page, "Play")
    press(page, button)
    assert sizes(page, 4) == [then] * 4
    assert page.get_by_role("button", name="Play").is_visible()


def test_playing_ends_when_the_card_is_taken_off_the_page(playing):
    page = playing()
    press(page, "Play")
    card = page.evaluate_handle("document.querySelector('.live')")
    page.evaluate("card => card.remove()", card)
    page.clock.run_for(5000)
    assert page.evaluate("card => card.state.size", card) == 2


def test_step_goes_one_step_and_from_the_end_to_the_beginning(playing):
    page = playing()
    seen = []
    for _ in range(5):
        press(page, "Step")
        seen.append(state(page)["size"])
    assert seen == [2, 3, 4, 0, 1]


def test_who_asked_for_less_motion_gets_steps_and_no_play(playing):
    page = playing(less=True)
    assert page.get_by_role("button", name="Play").count() == 0
    press(page, "Step")
    assert sizes(page, 3) == [2, 2, 2]
    page.emulate_media(reduced_motion="no-preference")
    page.get_by_role("button", name="Play").wait_for()


def test_asking_for_less_motion_ends_the_playing(playing):
    page = playing()
    press(page, "Play")
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("button", name="Pause").wait_for(state="hidden")
    assert page.get_by_role("button", name="Play").is_hidden()
    assert sizes(page, 3) == [2, 2, 2]


def test_play_alone_makes_one_step_a_press_for_who_asked_for_less_motion(playing):
    page = playing(step=False, less=True)
    press(page, "Play")
    assert sizes(page, 3) == [2, 2, 2]


# Questions


def test_each_option_is_judged_and_explained_and_can_be_changed(trial):
    page = trial(question=OPTIONS)
    options = page.get_by_role("group", name="Which is even?").get_by_role("button")
    assert options.all_text_contents() == ["three", "four"]
    options.nth(0).press("Enter")
    assert page.inner_text(".concept-verdict") == "Not yet. 3 leaves one."
    options.nth(1).click()
    assert page.inner_text(".concept-verdict") == "Right. Halves."
    assert "wrong" not in page.get_attribute(".concept-verdict", "class")


@pytest.mark.parametrize(
    ("typed", "verdict"),
    [
        ("2.5", "Right. So it is."),
        (" 2,5 ", "Right. So it is."),
        ("5/2", "Right. So it is."),
        ("−2", "Not yet. Not -2."),
        ("8,192", "Not yet. Not 8192."),
        ("", "Give a number, such as 2.5."),
        ("two", "Give a number, such as 2.5."),
        ("1/0", "Give a number, such as 2.5."),
    ],
)
def test_a_typed_number_is_read_as_people_write_it_and_judged(trial, typed, verdict):
    page = trial(question=NUMBER)
    page.get_by_label("How many?").fill(typed)
    page.get_by_label("How many?").press("Enter")
    assert page.inner_text(".concept-verdict") == verdict
    press(page, "Check")
    assert page.inner_text(".concept-verdict") == verdict
    assert page.url.endswith("/page.html")


def test_what_changes_is_read_aloud(trial):
    page = trial(question=NUMBER)
    assert page.get_by_role("status").evaluate_all("nodes => nodes.map(node => node.className)") == [
        "concept-words",
        "concept-verdict",
    ]


# Without scripts, on paper, twice


def test_without_scripts_the_still_picture_stands_there(open_source):
    page = open_source(ELEMENT + module(), java_script_enabled=False)
    assert page.is_visible("text=the still picture")
    assert page.is_visible("text=the caption")
    assert page.locator(".concept-live").count() == 0


def test_the_still_picture_stays_when_the_module_never_comes(open_source):
    assert open_source(ELEMENT).is_visible("text=the still picture")


def test_what_moves_takes_the_place_of_the_still_picture_but_not_on_paper(trial):
    page = trial()
    assert page.is_hidden("text=the still picture")
    assert page.is_visible("text=the caption")
    page.emulate_media(media="print")
    assert page.is_visible("text=the still picture")
    assert page.is_hidden(".concept-live")


def test_a_card_that_is_moved_on_the_page_keeps_its_state_and_is_not_built_twice(trial):
    page = trial()
    press(page, "Two more")
    page.evaluate("document.body.append(document.querySelector('.live'))")
    assert page.locator(".concept-live").count() == 1
    assert state(page)["size"] == 3


def test_a_module_that_is_loaded_twice_does_no_harm(trial):
    page = trial(element=module() + ELEMENT)
    assert words(page) == "hi: 9"
