"""Which axis differs, what the rest of the tensor is, and when that is a padded vocabulary."""

from typing import Any

import numpy as np
import pytest

from caten_sd import diff
from caten_sd.proof.likeness import Likeness


def table(rows: int, columns: int = 8) -> Any:
    return np.random.default_rng(rows).standard_normal((rows, columns), dtype="f4")


def padded(array: Any, rows: int) -> Any:
    return np.concatenate([array, np.zeros((rows, array.shape[1]), "f4")])


def detail(a: dict[str, Any], b: dict[str, Any]) -> str:
    (row,) = (row for row in diff(a, b).rows if row.likeness is Likeness.SHAPE)
    return row.detail


def test_rows_that_pad_a_vocabulary() -> None:
    a = {"wte.weight": table(50257 // 64)}
    b = {"wte.weight": padded(a["wte.weight"], 832 - 785)}
    text = "47 more rows in B; the 785 other rows are the same bytes; this looks like a vocabulary"
    assert detail(a, b).startswith(text)
    assert detail(b, a).startswith(text.replace("in B", "in A"))


@pytest.mark.parametrize(
    ("key", "rows", "more"),
    [
        ("wte.weight", 100, 3),  # not to a multiple
        ("wte.weight", 128, 128),  # from a multiple
        ("wpe.weight", 100, 28),  # positions
        ("mlp.fc.weight", 100, 28),  # not an embedding
    ],
)
def test_other_rows_are_not_called_padding(key: str, rows: int, more: int) -> None:
    a = {key: table(rows)}
    text = detail(a, {key: padded(a[key], more)})
    assert text == f"{more} more rows in B; the {rows} other rows are the same bytes"


def test_a_changed_rest_and_another_axis() -> None:
    a = {"w": table(6)}
    assert "the 6 other rows are changed, relative rms 0.5" in detail(
        a, {"w": padded(a["w"] * 1.5, 1)}
    )
    wider = np.concatenate([a["w"], a["w"][:, :1]], axis=1)
    assert detail(a, {"w": wider}) == "1 more column in B; the 8 other columns are the same bytes"


def test_shapes_that_differ_altogether() -> None:
    assert detail({"w": table(6)}, {"w": table(5, 7)}) == "[6, 8] in A, [5, 7] in B"


def test_tensors_without_elements_differ_in_shape() -> None:
    assert detail({"w": table(0, 3)}, {"w": table(3, 0)}) == "[0, 3] in A, [3, 0] in B"
