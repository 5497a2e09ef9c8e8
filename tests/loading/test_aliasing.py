"""A load from leaves that lie in the model's own memory gives what copies of them would give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.loading.aliasing import Overlaps
from caten_sd.loading.load import load_state_dict
from caten_sd.state.derived import derive
from caten_sd.state.leaf import Numpy, as_array
from caten_sd.state.steps import Join, Permute

ARRAYS: list[Callable[[Any], Any]] = [
    np.asarray,
    lambda values: torch.from_numpy(np.array(values)),
    lambda values: torch.nn.Parameter(torch.from_numpy(np.array(values))),
]
LEAVES: dict[str, Callable[[Any, Any], Any]] = {
    "itself": lambda one, other: one,
    "view": lambda one, other: one[:],
    "transposed": lambda one, other: derive(Permute((1, 0)), [one]),
    "joined": lambda one, other: derive(Join(0), [one[:1], other[1:]]),
    "transposed twice": lambda one, other: derive(Permute((1, 0)), [derive(Join(0), [one])]),
}


@given(st.data())
def test_leaves_of_the_model_itself_load_as_copies_of_them(data: st.DataObject) -> None:
    make = data.draw(st.sampled_from(ARRAYS))
    order = data.draw(st.permutations(range(4)))
    kinds = data.draw(st.lists(st.sampled_from(sorted(LEAVES)), min_size=4, max_size=4))
    model = {str(n): make(np.full((2, 2), n) + np.arange(4.0).reshape(2, 2) / 4) for n in range(4)}
    detached = {key: leaf.detach() if hasattr(leaf, "detach") else leaf
                for key, leaf in model.items()}  # fmt: skip
    leaves = {
        str(n): LEAVES[kind](detached[str(at)], detached[str((at + 1) % 4)])
        for n, (at, kind) in enumerate(zip(order, kinds, strict=True))
    }
    wanted = {key: as_array(Numpy(), leaf).copy() for key, leaf in leaves.items()}
    load_state_dict(model, leaves, strict=True)
    for key, leaf in detached.items():
        np.testing.assert_array_equal(np.asarray(leaf), wanted[key])


@pytest.mark.parametrize("make", ARRAYS)
def test_memory_that_is_read_and_written_is_found_by_one_look(make: Callable[[Any], Any]) -> None:
    one, other, apart = (make(np.zeros(2)) for _ in range(3))
    overlaps = Overlaps()
    overlaps.add(one, apart)
    assert not overlaps.any()
    overlaps.add(other, one)
    assert overlaps.any()
    assert overlaps.overwritten(other, one)
    assert not overlaps.overwritten(one, one), "a leaf that is copied onto itself"
    assert not overlaps.overwritten(one, apart)
