"""The card on the ring all-reduce: every worker ends with the sum, and sends no more than the best algorithm has to."""

import numpy as np
import pytest

SIZES = range(2, 9)
SIMULATE = """([method, vectors, upTo]) => import('/book/concepts/ring_all_reduce.js').then(
  m => m.simulate(vectors, m.plan(method, vectors.length).slice(0, upTo ?? undefined)))"""
PLAN = "([method, N]) => import('/book/concepts/ring_all_reduce.js').then(m => m.plan(method, N))"


def some_vectors(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(-50, 50, (n, n))


@pytest.fixture
def shown(card):
    return card("ring_all_reduce")


def simulated(shown, method, vectors, up_to=None):
    return shown.page.evaluate(SIMULATE, [method, vectors.tolist(), up_to])


def planned(shown, method, n):
    return shown.page.evaluate(PLAN, [method, n])


@pytest.mark.parametrize("method", ["ring", "one"])
def test_all_workers_end_with_the_sum_and_no_part_is_added_twice(shown, method):
    for n in SIZES:
        vectors = some_vectors(n)
        found = simulated(shown, method, vectors)
        assert np.array_equal(found["held"], np.tile(vectors.sum(0), (n, 1)))
        assert np.array_equal(found["parts"], np.full((n, n), 2**n - 1))


def test_at_every_step_a_chunk_is_the_sum_of_exactly_the_workers_it_is_said_to_hold(shown):
    for n in SIZES:
        vectors = some_vectors(n)
        for step in range(2 * (n - 1) + 1):
            found = simulated(shown, "ring", vectors, step)
            for (worker, chunk), bits in np.ndenumerate(np.array(found["parts"])):
                inside = [w for w in range(n) if bits >> w & 1]
                assert found["held"][worker][chunk] == vectors[inside, chunk].sum()


def test_after_reduce_scatter_each_worker_has_the_whole_sum_of_one_chunk_of_its_own(shown):
    for n in SIZES:
        whole = np.array(simulated(shown, "ring", some_vectors(n), n - 1)["parts"]) == 2**n - 1
        assert whole.sum(0).tolist() == [1] * n
        assert whole.sum(1).tolist() == [1] * n


def test_in_the_ring_each_worker_sends_one_chunk_a_step_to_the_next_and_every_link_is_busy(shown):
    for n in SIZES:
        steps = planned(shown, "ring", n)
        assert len(steps) == 2 * (n - 1)
        for step in steps:
            assert sorted(m["from"] for m in step["messages"]) == list(range(n))
            assert all(m["to"] == (m["from"] + 1) % n for m in step["messages"])
        found = simulated(shown, "ring", some_vectors(n))
        assert found["sent"] == [2 * (n - 1)] * n
        assert found["time"] == 2 * (n - 1)


def test_through_one_worker_its_link_is_the_bottleneck(shown):
    for n in SIZES:
        found = simulated(shown, "one", some_vectors(n))
        assert found["sent"] == [n * (n - 1)] + [n] * (n - 1)
        assert found["time"] == 2 * n * (n - 1)


def test_what_is_shown_is_in_whole_vectors(shown):
    for n in SIZES:
        found = shown.call("compute", {"method": "ring", "workers": n, "step": 99})
        assert found["vectorsSent"] == pytest.approx([2 * (n - 1) / n] * n)
        assert found["ends"] == pytest.approx({"ring": 2 * (n - 1) / n, "one": 2 * (n - 1)})
        assert found["whole"] == n * n
        assert found["held"][0] == found["sum"] == np.sum(shown.call("vectors", n), 0).tolist()


def press(shown, name):
    shown.page.get_by_role("button", name=name, exact=True).click()


def test_step_goes_to_the_end_and_begins_again(shown):
    for step in range(1, 7):
        press(shown, "Step")
        assert f"Step {step} of 6" in shown.words()
    assert "16 of 16 chunks" in shown.words()
    assert "747 MB" in shown.words()  # 1.5 times 4 bytes for each of GPT-2's weights
    press(shown, "Step")
    assert "Step 0 of 6" in shown.words()


def test_the_mark_on_the_line_of_time_is_dragged_and_moved_by_keys(shown):
    shown.slide("step", "ArrowRight", 3)
    assert shown.state()["step"] == 3
    shown.slide("step", "ArrowLeft")
    assert shown.state()["step"] == 2
    shown.drag("step", 2000, 0)
    assert "Step 6 of 6" in shown.words()
    shown.drag("step", -2000, 0)
    assert "Step 0 of 6" in shown.words()


def test_fewer_workers_after_the_end_are_at_their_end(shown):
    shown.slide("Workers", "End")
    shown.drag("step", 2000, 0)
    assert "Step 14 of 14" in shown.words()
    shown.slide("Workers", "Home")
    assert "Step 2 of 2" in shown.words()
    assert "4 of 4 chunks" in shown.words()
    shown.slide("step", "ArrowLeft")
    assert "Step 1 of 2" in shown.words()


def test_the_other_method_takes_the_same_steps_and_a_longer_time(shown):
    press(shown, "Step")
    ring = shown.call("compute", shown.state())["time"]
    shown.page.get_by_label("Method").select_option("Through worker 0")
    assert "worker 1 sends its whole vector to worker 0" in shown.words()
    assert shown.call("compute", shown.state())["time"] == 4 * ring
    press(shown, "Reset")
    assert "Step 0 of 6" in shown.words()
    assert shown.state()["method"] == "ring"


def test_the_question_accepts_what_each_sends_and_explains_what_others_counted(shown):
    right = 2 * (8 - 1) / 8
    assert shown.answer(str(right)).startswith("Right.")
    assert "chunk" in shown.answer("14")
    assert "reduce-scatter" in shown.answer("0.875")
    assert "worker 0" in shown.answer("7")
    assert "eight workers" in shown.answer("2")


@pytest.mark.parametrize("workers", [2, 8])
def test_on_a_phone_it_fits_and_what_is_dragged_is_as_broad_as_a_finger(card, workers):
    shown = card("ring_all_reduce", width=390)
    shown.slide("Workers", "End" if workers == 8 else "Home")
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    for grip in [*shown.page.get_by_role("slider").all(), *shown.page.get_by_role("button").all()]:
        place = grip.bounding_box()
        assert min(place["width"], place["height"]) >= 24
