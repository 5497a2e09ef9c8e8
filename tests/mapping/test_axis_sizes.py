from types import SimpleNamespace
from typing import Any

import pytest

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Numbers, solve, terms, value


@pytest.mark.parametrize("size", ["", "n_embd*", "3 n", "n-embd", "1.5", "-2", -2, "²"])
def test_what_is_not_a_size_is_refused(size: Any) -> None:
    with pytest.raises(LayoutError, match="write a count, a name"):
        terms(size)


def test_a_product_of_numbers_and_names() -> None:
    assert value("2 * n_head*head_dim", {"n_head": 3, "head_dim": 4}.__getitem__) == 24
    assert value(7, len) == 7


def test_solving_unifies_names_over_several_shapes() -> None:
    known: dict[str, int] = {}
    assert solve(("3*n", "n"), (12, 4), known)
    assert known == {"n": 4}
    assert not solve(("m", "n"), (5, 6), known)
    assert known == {"n": 4}, "a shape that does not fit tells nothing"
    assert not solve(("n",), (4, 4), known)


def test_a_product_that_does_not_divide_is_excluded() -> None:
    assert not solve(("3*n",), (8,), {})
    assert not solve(("3*n", "n"), (4, 12), {})


def test_two_unknown_names_in_one_size_tell_nothing() -> None:
    known: dict[str, int] = {}
    assert solve(("a*b",), (7,), known)
    assert known == {}


def test_a_sum_gives_the_one_name_that_is_not_known() -> None:
    known = {"d_inner": 8, "heads": 2}
    assert value("2*d_inner + 2*state + heads", {**known, "state": 3}.__getitem__) == 24
    assert solve(("2*d_inner + 2*state + heads", "n"), (24, 5), known)
    assert (known["state"], known["n"]) == (3, 5)
    assert not solve(("2*d_inner + 2*state + heads",), (25,), dict(known))
    assert not solve(("d_inner + more",), (7,), dict(known)), "no axis is shorter than a part"
    assert not solve(("2*d_inner + 2*rank",), (21,), {"d_inner": 8})
    assert solve(("a + b",), (7,), {})


def test_one_name_twice_must_be_one_number() -> None:
    assert solve((1, 1, "t", "t"), (1, 1, 7, 7), {})
    assert not solve((1, 1, "t", "t"), (1, 1, 7, 8), {})


def test_numbers_come_from_keywords_then_from_the_configuration() -> None:
    config = {"n_head": 2, "num_key_value_heads": 3}
    lookup = Numbers({"n_head": 4}, config, {"n_kv_head": ("num_key_value_heads",)})
    assert (lookup("n_head"), lookup("n_kv_head")) == (4, 3)
    assert Numbers({}, SimpleNamespace(n_head=5))("n_head") == 5


@pytest.mark.parametrize("wrong", [0, -1, "12", 1.0, True])
def test_a_number_that_is_not_a_count_is_refused(wrong: object) -> None:
    with pytest.raises(LayoutError, match=r"n_head is .* whole number above 0"):
        Numbers({"n_head": wrong})("n_head")


def test_a_missing_number_is_asked_for() -> None:
    with pytest.raises(LayoutError, match=r"n_head is needed .* pass n_head= or config="):
        Numbers({}, {"n_layer": 3})("n_head")
