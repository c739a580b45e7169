"""The card on paged blocks: its allocator leaks nothing, shares only what it counts, and mixes up no two sequences."""

import random
from collections import Counter

import pytest

from book.concepts.figures_paged_blocks import BLOCKS, TABLES

NAMES, SLOTS, LONGEST = "ABCD", 32, 16


def read(pool: dict, who: str) -> list[str]:
    """The tokens of a sequence as its table finds them."""
    table = pool["tables"][who]
    slots = [token for block in table["blocks"] for token in pool["blocks"][block]["tokens"]]
    return slots[: table["length"]]


def check(pool: dict) -> None:
    """What must hold of every pool."""
    size = pool["size"]
    listed = Counter(block for table in pool["tables"].values() for block in table["blocks"])
    for at, block in enumerate(pool["blocks"]):
        assert block["refs"] == listed[at]  # in two tables only if counted twice; in none only if free
        assert bool(block["tokens"]) == (block["refs"] > 0)
        assert len(block["tokens"]) <= size
    for table in pool["tables"].values():
        assert len(set(table["blocks"])) == len(table["blocks"])
        assert len(table["blocks"]) == -(-table["length"] // size)  # no block more than the tokens need
        assert all(len(pool["blocks"][block]["tokens"]) == size for block in table["blocks"][:-1])


def acted(live: dict[str, list[str]], what: str, who: str, refused: bool) -> None:
    """The same on plain lists, one a sequence: what a cache without blocks would hold."""
    if what == "finish":
        live.pop(who, None)
    elif what == "share":
        free = next((name for name in NAMES if name not in live), None)
        if who in live and free:
            live[free] = list(live[who])
    elif not refused:
        row = live.setdefault(who, [])
        row.append(f"{who}{len(row)}")


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_after_any_history_tables_read_what_was_written_and_nothing_is_lost(card, size):
    shown, chance = card("paged_blocks"), random.Random(size)
    refusals = 0
    for _ in range(6):
        kinds = chance.choices(["append", "share", "finish"], weights=[12, 1, 1], k=60)
        history = [[what, chance.choice(NAMES)] for what in kinds]
        script = """([done, size]) => import('/book/concepts/paged_blocks.js').then(
            m => done.map((_, n) => m.replay(done.slice(0, n + 1), size)))"""
        live: dict[str, list[str]] = {}
        for (what, who), pool in zip(history, shown.page.evaluate(script, [history, size]), strict=True):
            check(pool)
            refused = "wait" in pool["note"] or "may become" in pool["note"]
            if "wait" in pool["note"]:
                refusals += 1
                assert all(block["refs"] for block in pool["blocks"])  # refused only where none is free
            acted(live, what, who, refused)
            assert {name: read(pool, name) for name in pool["tables"]} == live
    assert refusals or size < 4


@pytest.mark.parametrize("size", [1, 4, 8])
def test_when_all_are_finished_every_block_is_free(card, size):
    history = [["append", "A"]] * 7 + [["share", "A"], ["append", "B"], ["share", "B"], ["append", "A"]]
    history += [["finish", name] for name in "BAC"]
    assert card("paged_blocks").call("replay", history, size)["blocks"] == [{"refs": 0, "tokens": []}] * (SLOTS // size)


def test_a_shared_block_is_copied_by_its_first_writer_only_and_a_full_one_never(card):
    shown = card("paged_blocks")
    history = [["append", "A"]] * 6 + [["share", "A"]]
    first = shown.call("replay", [*history, ["append", "A"]], 4)
    assert "copy" in first["note"]
    second = shown.call("replay", [*history, ["append", "A"], ["append", "B"]], 4)
    assert "copy" not in second["note"]
    assert second["tables"]["A"]["blocks"] == [0, 2]
    assert second["tables"]["B"]["blocks"] == [0, 1]
    full = shown.call("replay", [["append", "A"]] * 4 + [["share", "A"], ["append", "A"]], 4)
    assert full["blocks"][0]["refs"] == 2


def test_the_still_picture_shows_what_the_allocator_gives(card):
    history = [["append", "A"]] * 6 + [["append", "B"]] * 3 + [["share", "A"], ["append", "A"], ["append", "C"]]
    pool = card("paged_blocks").call("replay", history, 4)
    assert {name: table["blocks"] for name, table in pool["tables"].items()} == TABLES
    assert {at: block["tokens"] for at, block in enumerate(pool["blocks"]) if block["refs"]} == BLOCKS


def test_empty_slots_are_counted_in_blocks_and_against_reservations(card):
    found = card("paged_blocks").call("compute", {"done": [["append", "A"]] * 6 + [["append", "B"]] * 3, "size": 4})
    assert (found["used"], found["filled"], found["wasted"]) == (3, 9, 3)
    assert found["reservedWaste"] == 2 * LONGEST - 9


def test_it_is_driven_by_buttons_and_choices_and_reset_goes_back(card):
    shown = card("paged_blocks")
    before = shown.words()
    shown.page.get_by_role("button", name="Share its tokens").press("Enter")
    assert "C begins with the tokens of A" in shown.words()
    shown.page.get_by_role("button", name="Append a token").click()
    assert "so A writes into a copy, block 3" in shown.words()
    shown.page.get_by_label("Sequence", exact=True).select_option("B")
    shown.page.get_by_role("button", name="Finish").click()
    assert "B is finished" in shown.words()
    shown.page.get_by_label("Slots in a block").select_option("1")
    assert "of 32 blocks" in shown.words()
    assert ", 0 empty" in shown.words()
    shown.page.get_by_role("button", name="Reset").click()
    assert shown.words() == before


def test_when_no_block_is_free_a_sequence_waits(card):
    shown = card("paged_blocks")
    shown.page.get_by_label("Slots in a block").select_option("8")
    for name in ("A", "B", "C"):
        shown.page.get_by_label("Sequence", exact=True).select_option(name)
        for _ in range(3):
            shown.page.get_by_role("button", name="Append 4").click()
    assert "No block is free: C has to wait." in shown.words()


def test_the_question_accepts_the_number_of_blocks_and_explains_others(card):
    shown = card("paged_blocks")
    history = [["append", "A"]] * 6 + [["append", "B"]] * 3 + [["share", "A"], ["append", "A"], ["append", "C"]]
    right = sum(block["refs"] > 0 for block in shown.call("replay", history, 4)["blocks"])
    assert shown.answer(str(right)).startswith("Right.")
    assert "takes none" in shown.answer(str(right - 1))
    assert "Only one" in shown.answer(str(right + 1))
    assert shown.answer("8").startswith("Not yet.")


def test_on_a_phone_it_fits(card):
    assert card("paged_blocks", width=390).page.evaluate("document.documentElement.scrollWidth") <= 390
