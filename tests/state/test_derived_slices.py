"""Every box of every derived leaf is what numpy cuts out of the whole, and reads no more."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from caten_sd.blocks.block_types import quantize
from caten_sd.blocks.families.q4_to_q8 import Q8_0
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.derived import Derived, derive, sliced
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import spec
from caten_sd.state.source import Source
from caten_sd.state.steps import Cut, Join, Permute, Pick, Pile, Reorder, Step
from caten_sd.state.value_steps import Shift

ARRAY = np.arange(24, dtype="f4").reshape(2, 3, 4)
STEPS: list[tuple[Step, int]] = [
    (Permute((2, 0, 1)), 1),
    (Reorder(1, (2, 0, 1)), 1),
    (Reorder(2, (3, 1, 0, 2)), 1),
    (Cut(2, 1, 3), 1),
    (Pick(1, 2), 1),
    (Join(1), 3),
    (Pile(0), 2),
    (Pile(3), 2),
    (Shift(0.5), 1),
]


class Foreign(Step):
    """A step of somebody else, who did not say what a box of it needs."""

    def shape(self, shapes: Any) -> Any:
        return shapes[0]

    def run(self, library: Any, arrays: Any) -> Any:
        return arrays[0] * 2


def boxes(shape: tuple[int, ...]) -> Any:
    edges = [[(a, b) for a in range(n + 1) for b in range(a, n + 1)] for n in shape]
    every = itertools.product(*edges)
    return [tuple(slice(*edge) for edge in box) for box in itertools.islice(every, 0, None, 7)]


@pytest.mark.parametrize(
    ("step", "count"),
    [*STEPS, (Foreign(), 1)],
    ids=lambda each: type(each).__name__ if isinstance(each, Foreign) else repr(each),
)
def test_a_box_of_a_step_is_the_box_of_its_result(step: Step, count: int) -> None:
    leaf = derive(step, [ARRAY + 100 * n for n in range(count)])
    meant = leaf.numpy()
    for box in boxes(meant.shape):
        found = sliced(leaf, box)
        assert spec(found).shape == meant[box].shape
        assert np.array_equal(np.asarray(found), meant[box])


OUTER: list[Step] = [Reorder(1, (1, 0)), Cut(0, 1, 2), Pick(0, 1), Join(1), Pile(1), Shift(0.5)]


@pytest.mark.parametrize("outer", OUTER, ids=repr)
@pytest.mark.parametrize(("inner", "count"), STEPS, ids=repr)
def test_steps_on_steps(outer: Step, inner: Step, count: int) -> None:
    below = derive(inner, [ARRAY + 100 * n for n in range(count)])
    turned = derive(Permute(tuple(reversed(range(len(below.shape))))), [below])
    leaf = derive(outer, [turned, turned] if isinstance(outer, (Join, Pile)) else [turned])
    meant = np.asarray(leaf)
    for box in boxes(meant.shape):
        assert np.array_equal(np.asarray(sliced(leaf, box)), meant[box])


def test_indices_are_those_of_numpy_and_stay_unread() -> None:
    leaf = derive(Permute((2, 1, 0)), [derive(Shift(1.0), [ARRAY])])
    meant = leaf.numpy()
    indices: list[Any] = [0, -1, (1, 2), (1, 2, -1), slice(1, 3), (..., 1), (slice(0, 4, 2), 1)]
    indices += [(slice(None), slice(1, None)), slice(3, 1), (slice(1, 4, 2), slice(0, 0))]
    for index in indices:
        assert isinstance(leaf[index], Derived)
        assert np.array_equal(np.asarray(leaf[index]), meant[index]), index
    with pytest.raises(IndexError, match="out of range"):
        leaf[4]
    with pytest.raises(IndexError, match="forward"):
        leaf[::-1]


def test_packed_blocks_are_narrowed_to_the_blocks_that_hold_the_box() -> None:
    values = np.random.default_rng(0).standard_normal((6, 96)).astype("f4")
    leaf = BlockTensor(Q8_0(), quantize(Q8_0(), values), values.shape)
    meant = leaf.numpy()
    rows = sliced(leaf, (slice(2, 5), slice(0, 96)))
    assert isinstance(rows, BlockTensor)
    assert np.array_equal(rows.numpy(), meant[2:5])
    aligned = sliced(leaf, (slice(0, 6), slice(32, 64)))
    assert aligned.raw.shape == (6, 34)
    assert np.array_equal(aligned.numpy(), meant[:, 32:64])
    inside = sliced(leaf, (slice(1, 2), slice(40, 70)))
    assert inside.leaves[0].raw.shape == (1, 68)
    assert np.array_equal(inside.numpy(), meant[1:2, 40:70])


def test_of_a_file_only_the_box_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = np.arange(600, dtype="f4").reshape(20, 30)
    save_file({"a": matrix, "b": matrix + 1}, tmp_path / "m.safetensors")
    with read_state_dict(tmp_path / "m.safetensors") as state:
        turned = [derive(Permute((1, 0)), [state[name]]) for name in "ab"]
        leaf = derive(Join(1), turned)  # (30, 40)
        found = sliced(leaf, (slice(0, 30), slice(18, 22)))
        read = []
        view = Source.view
        monkeypatch.setattr(
            Source, "view", lambda self, at, size: read.append(size) or view(self, at, size)
        )
        assert np.array_equal(found.numpy(), np.concatenate([matrix.T, matrix.T + 1], 1)[:, 18:22])
    assert sorted(read) == [2 * 30 * 4] * 2
    assert all(isinstance(each.leaves[0], LazyTensor) for each in found.leaves)
