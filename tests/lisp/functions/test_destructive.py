"""What sort, nreverse and nconc leave in the list they were given; SBCL gave the values."""

from __future__ import annotations

import pytest

from caten_sd.lisp.functions.destructive import sorted_in_place
from caten_sd.lisp.functions.lists import LispList
from tests.lisp.forms import evaluated


@pytest.mark.parametrize(
    ("made", "change", "left", "given"),
    [
        ("(list 3 1 2)", "(sort l #'<)", [1, 2, 3], [1, 2, 3]),
        ("(list 4 3 2 1 0)", "(sort l #'<)", [3, 4], [0, 1, 2, 3, 4]),
        ("(vector 4 3 2 1 0)", "(sort l #'<)", [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
        ("(list 1 2 3)", "(nreverse l)", [1], [3, 2, 1]),
        ("(vector 1 2 3)", "(nreverse l)", [3, 2, 1], [3, 2, 1]),
        ("(list 1 2)", "(nconc l (list 3))", [1, 2, 3], [1, 2, 3]),
    ],
)
def test_the_list_has_what_its_first_cell_begins(
    made: str, change: str, left: list[int], given: list[int]
) -> None:
    assert evaluated(f"(let* ((l {made}) (k {change})) (list l k))") == [left, given]


def test_a_list_of_python_is_not_changed() -> None:
    items = [3, 1, 2]
    assert sorted_in_place(items, lambda each: each) == [1, 2, 3]
    assert items == [3, 1, 2]


def test_equal_items_keep_their_order() -> None:
    pairs = LispList([(at % 3, at) for at in range(40)])
    assert sorted_in_place(pairs, lambda each: each[0]) == sorted((at % 3, at) for at in range(40))
