"""Tensors of one name: those that cannot be compared say why, and all others are."""

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch

from caten_sd import diff
from caten_sd.blocks.block_types import block_type
from caten_sd.proof.diff_by_name import is_same_value
from caten_sd.proof.likeness import Likeness
from caten_sd.state.block_tensor import BlockTensor


def the_row(a: Any, b: Any) -> Any:
    """Return the row of one tensor next to one that is the same."""
    plain = np.arange(3.0)
    found = diff({"w": a, "same": plain}, {"w": b, "same": plain})
    (row,) = (each for each in found.rows if each.key == "w")
    return row


def blocks(byte: int) -> BlockTensor:
    kind = block_type("q8_k")
    return BlockTensor(kind, np.full((2, kind.size), byte, "u1"), (2, kind.elements))


def test_a_tensor_without_values_is_not_compared() -> None:
    row = the_row(torch.ones(3, device="meta"), torch.ones(3))
    assert (row.likeness, row.detail) == (Likeness.UNKNOWN, "no values in A")


def test_a_sparse_tensor_is_not_compared() -> None:
    row = the_row(torch.eye(3).to_sparse(), torch.eye(3))
    assert row.likeness is Likeness.UNKNOWN
    assert "sparse" in row.detail


def test_blocks_that_cannot_be_unpacked_are_compared_by_their_bytes() -> None:
    assert the_row(blocks(1), blocks(1)).likeness is Likeness.BYTES
    row = the_row(blocks(1), blocks(2))
    assert row.likeness is Likeness.UNKNOWN
    assert "q8_k" in row.detail
    assert len(diff({"w": blocks(1), "x": np.ones(3)}, {"v": blocks(1), "x": np.ones(3)}).rows) == 3


WORDS = np.array(["a", "b", "c", "d"] * 5)


@pytest.mark.parametrize(
    ("a", "b", "likeness"),
    [
        (WORDS, WORDS.copy(), Likeness.BYTES),
        (WORDS, WORDS[::-1].copy(), Likeness.UNKNOWN),
        (WORDS, np.ones(20), Likeness.UNKNOWN),
        (WORDS, WORDS[1:].copy(), Likeness.SHAPE),
        (WORDS, WORDS.reshape(4, 5), Likeness.SHAPE),
        (WORDS.astype(object), WORDS.astype(object), Likeness.UNKNOWN),
        (blocks(1), blocks(2), Likeness.UNKNOWN),
        (blocks(1), np.ones((1, 512)), Likeness.SHAPE),
        (np.arange(20).astype("M8[s]"), np.arange(20)[::-1].astype("M8[s]"), Likeness.UNKNOWN),
    ],
)
def test_values_that_are_not_numbers_do_not_end_a_diff(a: Any, b: Any, likeness: Likeness) -> None:
    assert the_row(a, b).likeness is likeness
    assert len(diff({"w": a, "x": np.ones(3)}, {"v": b, "x": np.ones(3)}).rows) == 3


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (OrderedDict(x=[1, (2, None)]), OrderedDict(x=[1, (2, None)]), True),
        ({"x": 1}, {"y": 1}, False),
        ([1, 2], [1], False),
        (1, 1.0, False),
        (float("nan"), float("nan"), False),
        (np.ones(2), np.ones(2), False),
    ],
)
def test_values_that_are_not_tensors(a: Any, b: Any, same: bool) -> None:
    assert is_same_value(a, b) is same


@pytest.mark.parametrize("kind", ["deep", "shared", "cyclic"])
def test_values_that_hold_others_without_end(kind: str) -> None:
    def nested(last: int) -> list[Any]:
        value: list[Any] = [last]
        for _ in range(100_000 if kind == "deep" else 100):
            value = [value, value] if kind == "shared" else [value]
        if kind == "cyclic":
            value.append(value)
        return value

    values = [nested(1), nested(1), nested(2)]
    assert is_same_value(values[0], values[1])
    assert not is_same_value(values[0], values[2])
