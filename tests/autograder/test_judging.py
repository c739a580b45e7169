"""The verdict's order, and what each stage says. One wrong thing is built for each stage, on top of all later ones."""

import numpy as np
import pytest
import torch

from autograder.acting import act, describe
from autograder.exercise import Case, Exercise, Property
from autograder.judging import judge, matches

X = torch.arange(6.0).reshape(2, 3)

ROWS = Property("each row sums to zero", lambda i, o: None if abs(o["out"].sum(-1)).max() < 1e-3 else "one does not")

EXERCISE = Exercise(
    name="center",
    title="Center",
    minutes=1,
    difficulty=1,
    points=2,
    act=lambda f, i: {"out": f(i["x"])},
    visible=lambda: [Case("two rows", {"x": X})],
    hints=("a", "b"),
    shapes={"out": "(T, D)"},
    properties=(ROWS,),
    forbids=("mean",),
)


def right(x):
    return x - x.sum(-1, keepdim=True) / x.shape[-1]


def not_implemented(x):
    raise NotImplementedError("center: step 1")


def raises(x):
    y = 3 * x
    return y / {}


def forbidden(x):
    return x - x.mean(-1, keepdim=True)


def forbidden_and_swallowed(x):
    try:
        return x - torch.Tensor.mean(x, -1, keepdim=True)
    except Exception:
        return right(x)


def in_place(x):
    x -= x.sum(-1, keepdim=True) / x.shape[-1]
    return x


def with_nan(x):
    out = right(x)
    out[1, 2] = float("nan")
    return out


WRONG = {
    "not implemented yet": (not_implemented, "center: step 1"),
    "wrong type": (lambda x: None, "out is None: does every path"),
    "your code raised an error": (raises, "TypeError"),
    "a call that this exercise forbids": (forbidden, "`mean`"),
    "shape": (lambda x: right(x).T, "expected  (2, 3) = (T, D)"),
    "dtype": (lambda x: right(x).double(), "yours float64, expected float32"),
    "input modified in place": (in_place, "x changed while your code ran"),
    "NaN or Inf": (with_nan, "out[1, 2] is nan, expected 1"),
    "the values differ": (lambda x: right(x) * 2, "out[0, 0]  yours -2  expected -1"),
}


def judged(f, exercise=EXERCISE, x=X):
    report = act(exercise, f, {"x": x})
    return judge(exercise, "two rows", {"x": x}, report, describe({"out": right(x)}))


def test_a_right_answer_passes_with_its_error_and_tolerance():
    outcome = judged(right)
    assert outcome.passed
    assert outcome.error < outcome.tolerance == 1e-5


@pytest.mark.parametrize("stage", WRONG)
def test_each_stage_is_told_by_name_and_detail(stage):
    f, detail = WRONG[stage]
    outcome = judged(f)
    assert outcome.stage == stage
    assert detail in "\n".join(outcome.lines)


def test_the_first_wrong_thing_is_the_one_that_is_told():
    def shape_and_dtype_and_nan(x):
        return (right(x).T.double()) * float("nan")

    assert judged(shape_and_dtype_and_nan).stage == "shape"
    assert judged(lambda x: right(x).double() * float("nan")).stage == "dtype"


def test_a_swallowed_forbidden_call_is_still_told():
    assert judged(forbidden_and_swallowed).stage == "a call that this exercise forbids"


def test_the_traceback_is_the_students_own_alone():
    lines = judged(raises).lines
    assert any("in raises: return y / {}" in line for line in lines)
    assert not any("acting.py" in line or "act(" in line for line in lines)


def test_a_not_implemented_error_of_torch_itself_is_no_excuse():
    def unsupported(x):
        return torch.linalg.det(torch.ones(2, 2, dtype=torch.float16))

    report = act(EXERCISE, unsupported, {"x": X})
    assert report["status"] == "raised"


def test_a_property_is_told_when_values_are_not_compared():
    report = act(EXERCISE, lambda x: x, {"x": X})
    outcome = judge(EXERCISE, "two rows", {"x": X}, report, None)
    assert outcome.stage == "a property does not hold"
    assert outcome.lines == ["each row sums to zero: one does not"]


def test_a_property_that_cannot_be_tested_is_broken_not_an_error_of_ours():
    report = act(EXERCISE, lambda x: "nonsense", {"x": X})
    outcome = judge(EXERCISE, "two rows", {"x": X}, report, None)
    assert outcome.stage == "a property does not hold"
    assert "could not be tested" in outcome.lines[0]


def test_infinity_where_infinity_is_expected_is_right():
    x = torch.tensor([[1.0, float("-inf")]])
    report = {"status": "ok", "text": "", "error": "", "outputs": describe({"out": x}), "modified": []}
    plain = Exercise(**{**EXERCISE.__dict__, "properties": ()})
    assert judge(plain, "k", {}, report, describe({"out": x})).passed
    assert not judge(plain, "k", {}, report, describe({"out": -x})).passed
    finite = describe({"out": torch.tensor([[1.0, -1e9]])})
    assert not judge(plain, "k", {}, {**report, "outputs": finite}, describe({"out": x})).passed


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        (1, 1, True),
        (1, 1.0, True),
        (1, 2, False),
        ("a", "a", True),
        (True, 1, False),
        ([1, [2, "x"]], [1, [2, "x"]], True),
        ([1, 2], [1, 2, 3], False),
        (float("nan"), 1.0, False),
        (0.1 + 0.2, 0.3, True),
    ],
)
def test_values_other_than_arrays_are_compared_by_kind_and_value(mine, theirs, same):
    report = {"status": "ok", "text": "", "error": "", "outputs": describe({"out": mine}), "modified": []}
    plain = Exercise(**{**EXERCISE.__dict__, "properties": ()})
    assert judge(plain, "k", {}, report, describe({"out": theirs})).passed is same


def test_an_array_is_not_taken_for_a_tensor():
    outcome = judged(lambda x: right(x).numpy())
    assert outcome.stage == "wrong type"
    assert outcome.lines == ["out is of type array, expected tensor"]


def test_an_object_that_equals_everything_is_refused():
    class Yes:
        def __eq__(self, other):
            return True

        __hash__ = None

    assert judged(lambda x: Yes()).stage == "wrong type"


def test_a_tensor_subclass_that_lies_about_comparison_gains_nothing():
    class Liar(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return super().__torch_function__(func, types, args, kwargs or {})

        def __eq__(self, other):
            return torch.ones(self.shape, dtype=torch.bool)

    assert not judged(lambda x: (x * 0).as_subclass(Liar)).passed


def test_reports_match_when_they_are_the_same_answer():
    one, two = (act(EXERCISE, f, {"x": X}) for f in (raises, raises))
    assert matches(EXERCISE, one, two)
    assert not matches(EXERCISE, one, act(EXERCISE, right, {"x": X}))
    assert not matches(EXERCISE, act(EXERCISE, right, {"x": X}), act(EXERCISE, lambda x: right(x) + 1, {"x": X}))
    assert matches(EXERCISE, act(EXERCISE, right, {"x": X}), act(EXERCISE, lambda x: right(x) + 1e-8, {"x": X}))


def test_inputs_reach_the_student_as_copies_with_their_strides():
    seen = []
    x = torch.arange(6.0).reshape(2, 3).T
    act(EXERCISE, lambda x: seen.append(x), {"x": x})
    assert seen[0] is not x
    assert seen[0].stride() == x.stride()


def test_bfloat16_is_compared_within_its_own_tolerance():
    x = X.bfloat16()
    report = {
        "status": "ok",
        "text": "",
        "error": "",
        "outputs": describe({"out": right(x) + 0.01}),
        "modified": [],
    }
    plain = Exercise(**{**EXERCISE.__dict__, "properties": ()})
    assert judge(plain, "k", {"x": x}, report, describe({"out": right(x)})).passed
    assert describe({"out": x})["out"]["array"].dtype == np.float32
    assert describe({"out": x})["out"]["dtype"] == "bfloat16"
