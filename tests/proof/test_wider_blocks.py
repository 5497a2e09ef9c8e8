"""Blocks that are cast: the values of a plain cast, whatever they are and however they lie."""

import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from caten_sd.proof.paired_halves import PairedHalves
from caten_sd.proof.wider_blocks import WiderBlocks, are_denormals_kept, room_for

EVERY = np.arange(1 << 16, dtype="u2")


def widened(array: Any, wide: str = "f4") -> Any:
    return WiderBlocks(array.dtype, np.dtype(wide)).of(array)


@pytest.mark.parametrize("dtype", ["f2", ">f2", ml_dtypes.bfloat16, "u2"])
@pytest.mark.parametrize("has_torch", [False, True])
def test_every_pattern_of_bits(
    dtype: Any, has_torch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_torch:
        monkeypatch.delitem(sys.modules, "torch")
    every = EVERY.view(dtype)
    with np.errstate(invalid="ignore"):
        finite = every[np.isfinite(every.astype("f4"))]
    read_only = finite.copy()
    read_only.flags.writeable = False
    with np.errstate(invalid="ignore"):  # of NaN
        for each in (every.copy(), finite, every[::-3], read_only, every[:0]):
            np.testing.assert_array_equal(widened(each), each.astype("f4"))
            np.testing.assert_array_equal(widened(each, "f8"), each.astype("f8"))


def test_memory_is_used_again_and_begins_on_a_line() -> None:
    blocks = WiderBlocks(np.dtype("f2"), np.dtype("f4"))
    first = blocks.of(np.ones(100, "f2"))
    second = blocks.of(np.zeros(7, "f2"))
    assert np.shares_memory(first, second)
    assert second.tolist() == [0.0] * 7
    for dtype in ("u1", "f4", "?"):
        assert room_for(1000, dtype).ctypes.data % 64 == 0


def test_a_thread_that_drops_denormals_has_the_least_halves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    least = np.array([6e-8, -6e-5, 1.0], "f2")
    assert are_denormals_kept()
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot drop denormals")
    try:
        is_kept, is_paired = are_denormals_kept(), PairedHalves.can_hold(least.dtype)
        found = widened(least).copy()
    finally:
        torch.set_flush_denormal(False)
    assert (is_kept, is_paired) == (False, False)
    assert found.astype("f2").tobytes() == least.tobytes()
