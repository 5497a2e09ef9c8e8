from __future__ import annotations

from typing import Any

import pytest

from caten_sd.encodings.pickle.inert_values import Instance, Reference, brief, check_key
from caten_sd.errors import FormatError


def test_a_reference_calls_our_own_function_or_makes_an_instance() -> None:
    assert Reference("builtins.list", "a.pkl", list).call(([1],)) == [1]
    made = Reference("models.Net", "a.pkl").call((1,))
    assert (type(made), made.name, made.args) == (Instance, "models.Net", (1,))


def test_a_suspect_call_is_refused_with_the_file_and_the_name() -> None:
    with pytest.raises(FormatError, match=r"a\.pkl: .*os\.system.* do not load"):
        Reference("os.system", "a.pkl").call(("ls",))


@pytest.mark.parametrize("key", ["a", 1, (1, ("a", None)), -(1 << 63), (1 << 64) - 1])
def test_a_plain_key_is_accepted(key: Any) -> None:
    check_key(key)


@pytest.mark.parametrize("key", [[], {}, (1, []), 1 << 64, (1, -(1 << 63) - 1)])
def test_a_key_that_cannot_be_hashed_safely_is_refused(key: Any) -> None:
    with pytest.raises(ValueError, match="key"):
        check_key(key)


def test_a_key_that_repeats_without_bound_is_refused() -> None:
    tower: Any = 1
    for _ in range(60):
        tower = (tower, tower)
    with pytest.raises(ValueError, match="without bound"):
        check_key(tower)


def test_a_brief_text_is_short() -> None:
    for value in (1 << 99_999, "x" * 99_999, b"x" * 99_999, [[1] * 99_999]):
        assert len(brief(value)) <= 80
