"""The flashcards' schedule: intervals grow with good answers, the queue has the right order, files are checked."""

import json

import pytest

NOW = 1_800_000_000_000  # milliseconds; some morning
DAY = 86_400_000
AGAIN, HARD, GOOD, EASY = 1, 2, 3, 4


@pytest.fixture
def schedule(open_source):
    page = open_source("<p>schedule</p>")

    def call(body: str, **told):
        names = ", ".join(told)
        script = f"({{{names}}}) => import('/_static/js/schedule.js').then(m => {{ {body} }})"
        return page.evaluate(script, told)

    return call


def rate(schedule, log, card, rating, at):
    return schedule("return m.rated(log, card, rating, new Date(at))", log=log, card=card, rating=rating, at=at)


def due(schedule, log, card):
    return schedule("return new Date(log[card].due).getTime()", log=log, card=card)


def test_good_answers_in_time_stretch_the_interval_and_a_miss_shrinks_it(schedule):
    log, at, spans = {}, NOW, []
    for _ in range(6):
        log = rate(schedule, log, "a", GOOD, at)
        spans.append(due(schedule, log, "a") - at)
        at = due(schedule, log, "a")
    assert spans == sorted(spans)
    assert spans[0] < DAY < 20 * DAY < spans[-1]
    missed = rate(schedule, log, "a", AGAIN, at)
    assert due(schedule, missed, "a") - at < DAY
    assert missed["a"]["lapses"] == 1


def test_the_better_the_answer_the_later_the_card(schedule):
    log = rate(schedule, {}, "a", EASY, NOW)
    at = due(schedule, log, "a")
    dates = [due(schedule, rate(schedule, log, "a", rating, at), "a") for rating in (AGAIN, HARD, GOOD, EASY)]
    assert dates == sorted(dates)
    assert len(set(dates)) == 4


def test_a_preview_says_what_rating_then_does(schedule):
    log = rate(schedule, {}, "a", EASY, NOW)
    at = due(schedule, log, "a")
    for name, rating, words in schedule("return m.preview(log, 'a', new Date(at))", log=log, at=at):
        after = due(schedule, rate(schedule, log, "a", rating, at), "a") - at
        assert words == schedule("return m.span(after)", after=after), name


def test_rating_leaves_the_old_log_alone(schedule):
    unchanged = schedule(
        "const log = m.rated({}, 'a', 3, new Date(now)), before = JSON.stringify(log);"
        "m.rated(log, 'a', 1, new Date(now + 1)); return JSON.stringify(log) === before",
        now=NOW,
    )
    assert unchanged


def test_the_longest_overdue_comes_first_then_new_cards_then_those_of_this_sitting(schedule):
    log = {}
    for card, ago in (("late", 9), ("later", 30)):
        log = rate(schedule, log, card, EASY, NOW - (ago + 20) * DAY)
    log = rate(schedule, log, "soon", AGAIN, NOW - 1000)
    ids = ["new1", "late", "soon", "later", "new2"]
    found = schedule("return m.queue(log, ids, new Date(now), 20)", log=log, ids=ids, now=NOW)
    assert found == {"due": ["later", "late"], "fresh": ["new1", "new2"], "soon": ["soon"]}


def test_no_more_new_cards_a_day_than_asked(schedule):
    log = rate(schedule, {}, "a", GOOD, NOW)
    ids = ["a", "b", "c", "d"]
    count = "return m.queue(log, ids, new Date(at), 2).fresh.length"
    assert schedule(count, log=log, ids=ids, at=NOW + 60_000) == 1
    assert schedule(count, log=log, ids=ids, at=NOW + 2 * DAY) == 2


def test_an_export_comes_back_and_the_later_review_stands(schedule):
    log = rate(schedule, {}, "a", GOOD, NOW)
    newer = rate(schedule, log, "a", GOOD, NOW + DAY) | rate(schedule, {}, "b", EASY, NOW)
    back = schedule("return m.imported(m.exported(newer))", newer=newer)
    assert back == newer
    assert schedule("return m.merged(log, back)", log=log, back=back) == newer
    assert schedule("return m.merged(back, log)", log=log, back=back) == newer


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hello", "no JSON"),
        ("{}", "no reviews of this book"),
        (json.dumps({"kind": "transformer-systems reviews", "version": 2, "cards": {}}), "no reviews of this book"),
        (
            json.dumps({"kind": "transformer-systems reviews", "version": 1, "cards": {"x": {"due": "z"}}}),
            "“x” is damaged",
        ),
        (json.dumps({"kind": "transformer-systems reviews", "version": 1, "cards": {"x": None}}), "“x” is damaged"),
    ],
)
def test_a_file_that_is_no_export_is_refused_in_words(schedule, text, says):
    said = schedule("try { m.imported(text); return '' } catch (error) { return error.message }", text=text)
    assert says in said


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (20_000, "1 min"),
        (600_000, "10 min"),
        (7_200_000, "2 h"),
        (DAY, "1 day"),
        (9 * DAY, "9 days"),
        (400 * DAY, "13 months"),
    ],
)
def test_spans_are_said_in_the_largest_fitting_unit(schedule, milliseconds, words):
    assert schedule("return m.span(t)", t=milliseconds) == words
