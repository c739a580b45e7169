"""What every exercise of the course must prove. Adding an exercise adds its proofs: nothing here names a lab."""

import importlib
import importlib.util
import inspect

import numpy as np
import pytest
import tokenizers
import torch

from autograder import registry
from autograder.acting import act, copied, describe
from autograder.checking import verdict
from autograder.exercise import Case, Exercise
from autograder.judging import judge
from autograder.release.expected import expect, fresh, hidden_cases, in_memory, stale
from autograder.release.solutions import solution_cell, submission, wrong_source
from autograder.store import stored

LABS = list(registry.lab_files())
EXERCISES = [e for lab in LABS for e in registry.exercises(lab)]
MISCONCEPTIONS = [(e, m.name) for e in EXERCISES for m in registry.answer(e).misconceptions]


def judged(exercise_id: str, learner):
    """The verdict over all visible and hidden cases, and how many are visible."""
    exercise = registry.exercise(exercise_id)
    visible, secret = exercise.visible(), hidden_cases(exercise_id)
    hidden = [False] * len(visible) + [True] * len(secret)
    reports = [act(exercise, learner, case.inputs) for case in visible + secret]
    return verdict(exercise, visible + secret, hidden, reports, in_memory(exercise_id))


@pytest.mark.parametrize("exercise_id", EXERCISES)
def test_the_instructors_solution_passes_every_case(exercise_id):
    found = judged(exercise_id, submission(*exercise_id.rsplit("/", 1)))
    assert found.passed, found.text()
    assert found.points == registry.exercise(exercise_id).points


@pytest.mark.parametrize("exercise_id", EXERCISES)
def test_the_skeleton_is_not_implemented_yet_and_worth_nothing(exercise_id):
    from autograder.release.preprocessors import without_solution

    lab, name = exercise_id.rsplit("/", 1)
    skeleton = without_solution(solution_cell(lab, name).source, registry.exercise(exercise_id).title)
    found = judged(exercise_id, submission(lab, name, skeleton))
    assert found.points == 0
    assert "not implemented yet" in found.text()
    assert {o.stage for o in found.outcomes} == {"not implemented yet"}


@pytest.mark.parametrize(("exercise_id", "name"), MISCONCEPTIONS)
def test_a_misconception_is_rejected_and_named(exercise_id, name):
    lab, exercise_name = exercise_id.rsplit("/", 1)
    wrong = next(m for m in registry.answer(exercise_id).misconceptions if m.name == name)
    found = judged(exercise_id, submission(lab, exercise_name, wrong_source(lab, exercise_name, wrong)))
    assert not found.passed
    assert found.points < found.max_points
    assert found.misconception == name, found.text()
    assert wrong.says in found.text()


@pytest.mark.parametrize("exercise_id", EXERCISES)
def test_the_solution_passes_whatever_the_course_secret(exercise_id):
    exercise, answer = registry.exercise(exercise_id), registry.answer(exercise_id)
    learner = submission(*exercise_id.rsplit("/", 1))
    for seed in range(1, 9):
        for case in answer.hidden(seed):
            report = act(exercise, learner, case.inputs)
            right = describe(answer.reference(copied(case.inputs))) if answer.reference else None
            outcome = judge(exercise, case.kind, case.inputs, report, right)
            assert outcome.passed, (seed, case.kind, outcome.lines)


NO_TOKENS = {"mergeable_ranks": {bytes([b]): b for b in range(256)}, "special_tokens": {}}
FORBIDDEN_CALLS = {
    # How a learner would reach for each, given any inputs at all.
    "softmax": lambda: torch.softmax(torch.ones(2), 0),
    "log_softmax": lambda: torch.nn.functional.log_softmax(torch.ones(2), 0),
    "safe_softmax": lambda: torch._safe_softmax(torch.ones(2), 0),
    "logsumexp": lambda: torch.logsumexp(torch.ones(2), 0),
    "logcumsumexp": lambda: torch.ones(2).logcumsumexp(0),
    "softmin": lambda: torch.nn.functional.softmin(torch.ones(2), 0),
    "entr": lambda: torch.special.entr(torch.ones(2)),
    "scaled_dot_product_attention": lambda: torch.nn.functional.scaled_dot_product_attention(
        *[torch.ones(1, 2, 2)] * 3
    ),
    "gelu": lambda: torch.nn.functional.gelu(torch.ones(2)),
    "cross_entropy": lambda: torch.nn.functional.cross_entropy(torch.ones(1, 2), torch.tensor([0])),
    "nll_loss": lambda: torch.nn.functional.nll_loss(torch.ones(1, 2), torch.tensor([0])),
    "embedding": lambda: torch.nn.functional.embedding(torch.tensor([0]), torch.ones(1, 2)),
    "as_strided": lambda: torch.ones(2).as_strided((1,), (1,)),
    "unfold": lambda: torch.ones(2).unfold(0, 1, 1),
    "numpy": lambda: torch.ones(2).numpy(),
    "__array__": lambda: np.asarray(torch.ones(2)),
    "backward": lambda: torch.ones(2, requires_grad=True).sum().backward(),
    "grad": lambda: torch.autograd.grad((x := torch.ones(2, requires_grad=True)).sum(), x),
    "multi_head_attention_forward": lambda: torch.nn.MultiheadAttention(2, 1)(*[torch.ones(1, 2, 2)] * 3),
    "layer_norm": lambda: torch.nn.LayerNorm(2)(torch.ones(3, 2)),
    "native_layer_norm": lambda: torch.ops.aten.native_layer_norm(torch.ones(3, 2), [2], None, None, 1e-5),
    "rms_norm": lambda: torch.nn.RMSNorm(2)(torch.ones(3, 2)),
    "batch_norm": lambda: torch.nn.BatchNorm1d(3)(torch.ones(1, 3, 2)),
    "group_norm": lambda: torch.nn.GroupNorm(1, 2)(torch.ones(3, 2)),
    "instance_norm": lambda: torch.nn.InstanceNorm1d(3)(torch.ones(1, 3, 2)),
    "var": lambda: torch.ones(3, 2).var(-1),
    "std": lambda: torch.std(torch.ones(3, 2), -1),
    "var_mean": lambda: torch.var_mean(torch.ones(3, 2)),
    "std_mean": lambda: torch.std_mean(torch.ones(3, 2)),
    "tokenizers.Tokenizer": lambda: tokenizers.Tokenizer(tokenizers.models.BPE()).encode("a"),
    "tokenizers.models.Model": lambda: tokenizers.models.BPE().tokenize("a"),
    "tokenizers.pre_tokenizers.PreTokenizer": lambda: tokenizers.pre_tokenizers.ByteLevel().pre_tokenize_str("a"),
    "tiktoken.Encoding": lambda: (
        importlib.import_module("tiktoken").Encoding("t", pat_str=".", **NO_TOKENS).encode("a")
    ),
}


@pytest.mark.parametrize(("exercise_id", "call"), [(e, f) for e in EXERCISES for f in registry.exercise(e).forbids])
def test_a_forbidden_call_is_caught(exercise_id, call):
    exercise = registry.exercise(exercise_id)

    def learner(*_, **__):
        if call in FORBIDDEN_CALLS:
            FORBIDDEN_CALLS[call]()
        else:
            _call_with_nothing(call)

    probe = Exercise(**{**exercise.__dict__, "act": lambda f, i: f()})
    reports = [act(probe, learner, case.inputs) for case in exercise.visible()]
    found = verdict(exercise, exercise.visible(), [False] * len(reports), reports, stored(exercise_id))
    assert found.points == 0
    assert "forbids" in found.text()
    assert call in found.text()


def _call_with_nothing(path: str) -> None:
    # source.module.function or source.module.Class.method, with None for every argument.
    parts = path.split(".")
    depth = next(n for n in range(len(parts), 0, -1) if find_spec_of(parts[:n]))
    found = importlib.import_module(".".join(parts[:depth]))
    for part in parts[depth:]:
        found = getattr(found, part)
    found(*[None for _ in inspect.signature(found).parameters])


def find_spec_of(parts: list[str]) -> bool:
    try:
        return importlib.util.find_spec(".".join(parts)) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("exercise_id", EXERCISES)
def test_the_solution_itself_calls_nothing_forbidden_and_changes_no_input(exercise_id):
    exercise = registry.exercise(exercise_id)
    learner = submission(*exercise_id.rsplit("/", 1))
    for case in exercise.visible():
        report = act(exercise, learner, case.inputs)
        assert report["status"] == "ok", report["text"]
        assert report["modified"] == []


@pytest.mark.parametrize("exercise_id", EXERCISES)
def test_an_exercise_has_what_the_course_promises(exercise_id):
    exercise, answer = registry.exercise(exercise_id), registry.answer(exercise_id)
    assert len(answer.misconceptions) >= 3
    assert len({m.name for m in answer.misconceptions}) == len(answer.misconceptions)
    assert 2 <= len(exercise.hints) <= 4
    assert exercise.points > 0
    assert 1 <= exercise.difficulty <= 3
    assert len(exercise.visible()) >= 2
    assert len(hidden_cases(exercise_id)) >= 3
    kinds = [c.kind for c in exercise.visible() + hidden_cases(exercise_id)]
    assert len(set(kinds)) == len(kinds), "each case's kind is its name"
    assert answer.reference or exercise.properties


@pytest.mark.parametrize("exercise_id", EXERCISES)
def test_cases_are_pure_functions_of_their_seed(exercise_id):
    exercise, answer = registry.exercise(exercise_id), registry.answer(exercise_id)
    for once, again in ((exercise.visible(), exercise.visible()), (answer.hidden(5), answer.hidden(5))):
        assert [_plain(c) for c in once] == [_plain(c) for c in again]
    assert [_plain(c) for c in answer.hidden(5)] != [_plain(c) for c in answer.hidden(6)]


def _plain(case: Case) -> bytes:
    from autograder.plain import pack

    return case.kind.encode() + pack(case.inputs)


@pytest.mark.parametrize("lab", LABS)
def test_stored_expectations_are_fresh(lab):
    assert not stale(lab, fresh(lab)), f"run: course release {lab}"


def test_hidden_cases_change_with_the_secret(monkeypatch):
    before = hidden_cases("ch01/lab01/softmax")
    monkeypatch.setenv("COURSE_SECRET", "another")
    assert [_plain(c) for c in before] != [_plain(c) for c in hidden_cases("ch01/lab01/softmax")]


def test_expectations_of_a_case_do_not_depend_on_the_other_cases():
    exercise_id = "ch01/lab01/softmax"
    cases = registry.exercise(exercise_id).visible()
    alone, together = expect(exercise_id, cases[:1]), expect(exercise_id, cases)
    for name, out in alone.outputs[0].items():
        assert (out["array"] == together.outputs[0][name]["array"]).all()
