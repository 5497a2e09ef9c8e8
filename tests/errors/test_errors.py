"""Errors: one root, and what each carries for a program that catches it."""

from __future__ import annotations

import inspect

import pytest

from caten_sd import errors
from caten_sd.errors import CatenError, FormatError, LayoutWarning, LoadError, LoadWarning

CLASSES = [
    each
    for each in vars(errors).values()
    if inspect.isclass(each) and each.__module__ == errors.__name__
]


@pytest.mark.parametrize("each", CLASSES, ids=lambda each: each.__name__)
def test_every_error_has_the_one_root_and_every_warning_is_a_users(each: type) -> None:
    assert issubclass(each, CatenError if each.__name__.endswith("Error") else UserWarning)


@pytest.mark.parametrize(
    ("remedy", "message"), [("get it again", "w: it is cut; get it again"), ("", "w: it is cut")]
)
def test_a_format_error_is_one_sentence_and_its_three_facts(remedy: str, message: str) -> None:
    error = FormatError("w", "it is cut", remedy)
    assert str(error) == message
    assert (error.source, error.problem, error.remedy) == ("w", "it is cut", remedy)


def test_loads_and_layouts_carry_what_was_found() -> None:
    found = object()
    assert LoadError("message", found).plan is found
    assert LoadWarning("message", found).report is found
    assert LayoutWarning("message", found).findings is found
