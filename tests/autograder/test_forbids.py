"""Forbidding another library's class: all its methods, compiled ones too, and importing that library at all."""

import importlib
import sys
from fractions import Fraction

import pytest
import tokenizers

from autograder.forbids import ForbiddenCall, Watch


def test_methods_of_a_compiled_class_raise_inside_and_work_again_outside():
    made = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    with Watch(("tokenizers.Tokenizer",)) as watch:
        with pytest.raises(ForbiddenCall):
            made.encode("ab")
        with pytest.raises(ForbiddenCall):
            tokenizers.Tokenizer.from_str("{}")
    assert watch.fired == ["tokenizers.Tokenizer"] * 2
    assert made.encode("ab").ids == [2]
    assert tokenizers.Tokenizer.from_str(made.to_str()).encode("ab").ids == [2]


def test_a_method_that_a_subclass_inherits_is_noticed():
    with Watch(("tokenizers.models.Model",)) as watch, pytest.raises(ForbiddenCall):
        tokenizers.models.BPE({"a": 0}, []).tokenize("a")
    assert watch.fired


def test_a_class_in_plain_python_is_forbidden_likewise():
    with Watch(("fractions.Fraction",)) as watch, pytest.raises(ForbiddenCall):
        Fraction(1, 3).limit_denominator(2)
    assert watch.fired == ["fractions.Fraction"]
    assert Fraction(1, 3).limit_denominator(2) == Fraction(1, 2)


def test_importing_a_forbidden_library_is_noticed_where_nothing_imported_it_before(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with Watch(("colorsys.Color",)) as watch, pytest.raises(ForbiddenCall):
        importlib.import_module("colorsys")
    assert watch.fired == ["colorsys.Color"]
    importlib.import_module("colorsys")


def test_a_library_that_is_not_installed_is_no_hindrance():
    with Watch(("no_such_library.Class",)) as watch:
        pass
    assert watch.fired == []
