"""A leaf that cannot be read fails before the first write."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from caten_sd.errors import LoadError
from caten_sd.loading.load import load_state_dict
from caten_sd.loading.readable import readable
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.derived import derive
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Numpy, as_array
from caten_sd.state.source import Source
from caten_sd.state.steps import Permute


class Unmapped:
    """A backing that maps nothing and counts how often it is read."""

    mapped = False

    def __init__(self, data: bytes, fails: bool = False) -> None:
        self.data, self.fails, self.reads = data, fails, 0

    def view(self, start: int, count: int) -> memoryview:
        return memoryview(self.read(start, count))

    def read(self, start: int, count: int) -> bytes:
        self.reads += 1
        if self.fails:
            raise OSError("the disk is gone")
        return self.data[start : start + count]

    def close(self) -> None:
        self.fails = True


def lazy(backing: Unmapped, shape: tuple[int, ...] = (2,)) -> LazyTensor:
    source = Source("w.bin", backing, 0, len(backing.data))
    return LazyTensor(source, 0, DTYPES["float32"], shape)


def test_a_leaf_that_is_not_mapped_is_read_before_the_first_write() -> None:
    backing = Unmapped(np.ones(2, np.float32).tobytes())
    leaf = readable(lazy(backing))
    backing.close()
    assert as_array(Numpy(), leaf).tolist() == [1, 1]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda leaf: leaf,
        lambda leaf: derive(Permute((1, 0)), [leaf]),
        lambda leaf: derive(
            Permute((1, 0)), [derive(Permute((1, 0)), [np.ones((1, 2))]), leaf][1:]
        ),
    ],
)
def test_a_disk_that_fails_changes_nothing(wrap: Callable[[LazyTensor], object]) -> None:
    broken = wrap(lazy(Unmapped(b"\0" * 8, fails=True), (1, 2)))
    shape = broken.shape
    model = {"a": torch.zeros(2), "b": torch.zeros(shape), "c": torch.zeros(2)}
    file = {"a": torch.ones(2), "b": broken, "c": torch.ones(2)}
    with pytest.raises(LoadError, match=r"b cannot be loaded .*disk is gone.*nothing was changed"):
        load_state_dict(model, file)
    assert not model["a"].any()
    assert not model["c"].any()


class UnknownBlocks:
    """A block type without a method of dequantize."""

    dtype = DTYPES["float32"]._replace(name="q_new", kind="block", bits=16, per=32)


def test_blocks_that_nobody_can_unpack_change_nothing() -> None:
    model = {"a": torch.zeros(2), "b": torch.zeros(1, 32)}
    blocks = BlockTensor(UnknownBlocks(), np.zeros((1, 2), np.uint8), (1, 32))
    with pytest.raises(
        LoadError, match=r"q_new has no dequantize method.*register\(UnknownBlocks, object\)"
    ):
        load_state_dict(model, {"a": torch.ones(2), "b": blocks})
    assert not model["a"].any()
