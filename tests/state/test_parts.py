"""A leaf in parts: the same bytes, read once, and no more of them in memory than a part has."""

from __future__ import annotations

import os
import tracemalloc
from contextlib import closing
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import caten_sd as sd
from caten_sd import FormatError
from caten_sd.adapters import numpy as numpy_adapter
from caten_sd.blocks.big_endian import SwappedBlocks
from caten_sd.blocks.block_types import block_type
from caten_sd.files.cast import Cast, cast
from caten_sd.state import lazy_tensor, parts
from caten_sd.state.backing import BytesBacking
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.compare import largest_error
from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.derived import derive
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Numpy, as_array, spec
from caten_sd.state.low_rank import LowRank, WeightSum
from caten_sd.state.parts import bytes_read, cut_together
from caten_sd.state.pieces import bytes_at_once, pieces
from caten_sd.state.source import Source, open_file
from caten_sd.state.steps import Cut, Join, Permute, Pick, Pile, Reorder, Step
from caten_sd.state.value_steps import Shift

from .test_derived_slices import Foreign

SHAPE = (6, 4, 32)
VALUES = np.random.default_rng(0).standard_normal(SHAPE, "f4")
Q8_0 = block_type("q8_0")


class Noted(BytesBacking):
    """Bytes in memory as if in a file, and how many of them were read."""

    mapped = False

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.count = 0

    def view(self, start: int, count: int) -> memoryview:
        self.count += count
        return super().view(start, count)

    def read(self, start: int, count: int) -> bytes:
        self.count += count
        return super().read(start, count)


def in_file(array: Any, order: str = "<", strides: Any = None) -> LazyTensor:
    stored = array.astype(array.dtype.newbyteorder(order)) if order == ">" else array
    data = stored.tobytes()
    shape = array.shape if strides is None else array.shape[::-1]
    dtype = DTYPES[array.dtype.name]
    return LazyTensor(Source("w", Noted(data), 0, len(data)), 0, dtype, shape, strides, order)


def blocks(order: str = "<") -> BlockTensor:
    raw = in_file(np.random.default_rng(1).integers(0, 60, (6, 4, 34), "u1"))
    return BlockTensor(Q8_0, raw if order == "<" else SwappedBlocks(raw, Q8_0), SHAPE)


def stepped(step: Step, count: int = 1) -> Any:
    return derive(step, [in_file(VALUES + n) for n in range(count)])


LEAVES = {
    "in C order": lambda: in_file(VALUES),
    "big-endian": lambda: in_file(VALUES, ">"),
    "transposed in the file": lambda: in_file(VALUES, strides=(1, 32, 128)),
    "cast": lambda: cast(in_file(VALUES), DTYPES["bfloat16"]),
    "one axis": lambda: cast(in_file(VALUES.reshape(-1)), DTYPES["float16"]),
    "quantized": lambda: cast(in_file(VALUES), Q8_0.dtype),
    "unpacked": lambda: cast(blocks(), DTYPES["float16"]),
    "unpacked big-endian": lambda: cast(blocks(">"), DTYPES["float16"]),
    "big-endian blocks": lambda: blocks(">"),
    "quantized anew": lambda: cast(blocks(), block_type("q4_0").dtype),
    "rows of blocks turned": lambda: derive(Permute((1, 0, 2)), [blocks()]),
    "a cast, turned": lambda: derive(
        Permute((2, 1, 0)), [Cast(in_file(VALUES), DTYPES["float64"])]
    ),
    "turned and cast": lambda: cast(stepped(Permute((2, 0, 1))), DTYPES["bfloat16"]),
    "permuted": lambda: stepped(Permute((2, 0, 1))),
    "first axes permuted": lambda: stepped(Permute((1, 0, 2))),
    "reordered": lambda: stepped(Reorder(0, (5, 0, 4, 1, 3, 2))),
    "last axis reordered": lambda: stepped(Reorder(2, tuple(reversed(range(32))))),
    "cut": lambda: stepped(Cut(1, 1, 3)),
    "picked": lambda: stepped(Pick(0, 2)),
    "joined": lambda: stepped(Join(1), 3),
    "joined with no cast values": lambda: derive(
        Join(0), [in_file(VALUES), Cast(in_file(VALUES[:0].astype("f8")), DTYPES["float32"])]
    ),
    "piled": lambda: stepped(Pile(2), 2),
    "shifted": lambda: stepped(Shift(0.5)),
    "no values": lambda: cast(in_file(VALUES[:0]), DTYPES["bfloat16"]),
    "a foreign step": lambda: derive(Foreign(), [in_file(VALUES)]),
}


@pytest.fixture(params=[(128, 512), (300, 300), (1 << 9, 1 << 20)], ids=str)
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the most bytes of a part."""
    near, scattered = request.param
    monkeypatch.setattr(parts, "PART", near)
    monkeypatch.setattr(parts, "SCATTERED", scattered)
    monkeypatch.setattr(lazy_tensor, "_LARGE", 256)
    monkeypatch.setattr(numpy_adapter, "_READ", 64)
    monkeypatch.setattr(numpy_adapter, "_GAP", 32)
    return max(near, scattered)


@pytest.mark.parametrize("name", LEAVES)
def test_the_bytes_in_parts_are_those_of_the_whole(small: int, name: str) -> None:
    raw = leaf.raw if isinstance(leaf := LEAVES[name](), BlockTensor) else leaf
    expected = np.ascontiguousarray(as_array(Numpy(), raw)).view("u1").tobytes()
    assert b"".join(pieces(leaf)) == expected


WHOLE = {"in C order", "reordered", "last axis reordered", "a foreign step", "no values"}


@pytest.mark.parametrize("name", [name for name in LEAVES if name not in WHOLE])
def test_a_part_takes_no_more_memory_than_said(small: int, name: str) -> None:
    leaf = LEAVES[name]()
    assert bytes_at_once(leaf) <= max(small, 128 * 4)  # a row of blocks is not divided further
    if small < 1 << 20 and not isinstance(leaf, LazyTensor):
        assert len(parts.parts(leaf)) > 1 or isinstance(leaf, BlockTensor)


@pytest.mark.parametrize("name", ["cast", "quantized", "unpacked", "permuted", "joined", "piled"])
def test_no_byte_is_read_twice_where_parts_lie_together(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(parts, "PART", 1 << 10)
    leaf = LEAVES[name]()
    raw = leaf.raw if isinstance(leaf, BlockTensor) else leaf
    before = bytes_read(raw)
    list(pieces(leaf))
    assert sum(each.source._backing.count for each in files(raw)) == before


def files(leaf: Any) -> list[Any]:
    origins = leaf.origins()
    return [each for origin in origins for each in files(origin)] if origins else [leaf]


@pytest.mark.parametrize(
    "leaf",
    [
        VALUES,
        torch.zeros(SHAPE),
        Cast(VALUES, DTYPES["bfloat16"]),
        derive(Permute((2, 1, 0)), [torch.zeros(SHAPE)]),
        LEAVES["a foreign step"](),
        Cast(in_file(VALUES), DTYPES["float4_e2m1fn"]),
    ],
    ids=lambda leaf: type(leaf).__name__,
)
def test_what_is_in_memory_or_cannot_be_cut_stays_whole(small: int, leaf: Any) -> None:
    assert parts.parts(leaf) == [leaf]


def test_the_largest_error_is_that_of_the_whole(small: int) -> None:
    for dtype in (ml_dtypes.bfloat16, np.float16):
        turned = derive(Permute((2, 0, 1)), [in_file(VALUES)])
        after = VALUES.transpose(2, 0, 1).astype(dtype)
        error = float(np.abs(after.astype("f4") - VALUES.transpose(2, 0, 1)).max())
        assert largest_error(turned, in_file(np.ascontiguousarray(after))) == error
    assert largest_error(in_file(VALUES[:0]), in_file(VALUES[:0])) == 0


@pytest.mark.parametrize("shape", [(), (1,)])
def test_the_error_of_one_element_that_may_have_an_axis(shape: tuple[int, ...]) -> None:
    one, other = np.full(shape, 2, "f4"), np.full((1,), 1.5, "f2")
    assert largest_error(one, other) == 0.5


@given(st.data())
def test_elements_with_gaps_are_gathered(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 5), max_size=4))
    steps = [data.draw(st.integers(0, 40)) for _ in shape]
    dtype = data.draw(st.sampled_from(["<f4", ">i2", "<c16", "u1"]))
    offset = data.draw(st.integers(0, 9))
    array = np.arange(700).astype(dtype)
    leaf = LazyTensor(
        Source("w", BytesBacking(array.tobytes()), 0, array.nbytes),
        offset * array.itemsize,
        DTYPES[array.dtype.newbyteorder("=").name],
        shape,
        steps,
        ">" if dtype.startswith(">") else "<",
    )
    expected = leaf.numpy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lazy_tensor, "_LARGE", -1)
        patch.setattr(LazyTensor, "has_gaps", True)
        patch.setattr(numpy_adapter, "_READ", data.draw(st.sampled_from([1, 8, 64, 999])))
        patch.setattr(numpy_adapter, "_GAP", data.draw(st.sampled_from([0, 16, 999])))
        found = with_bytes_copied(as_array, Numpy(), leaf)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_what_is_picked_from_many_is_cut_by_its_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", 1 << 10)
    stack = in_file(np.zeros((64, 16, 32), "f4"))
    for leaf in (derive(Pick(0, 3), [stack]), cast(derive(Pick(0, 3), [stack]), DTYPES["float64"])):
        assert 2 <= len(parts.parts(leaf)) <= 4
    turned = derive(Permute((0, 2, 1)), [stack])
    few = derive(Cut(0, 3, 4), [turned])
    list(pieces(few))
    assert stack.source._backing.count < 2 * 4 * 16 * 32  # and not all that is turned
    assert bytes_at_once(derive(Pick(0, 1), [in_file(np.zeros(1000, "f4"))])) == 4


def test_what_is_computed_from_several_arrays_takes_the_memory_that_is_said() -> None:
    """A sum takes a weight, a product of float32 and a total of float32 at a time."""
    weight, down, up = (
        in_file(np.ones(shape, "f2")) for shape in ((4096, 1024), (8, 1024), (4096, 8))
    )
    leaf = WeightSum(weight, [LowRank(down, up, 1.0)])
    tracemalloc.start()
    for _ in pieces(leaf):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 2 * bytes_at_once(leaf) < weight.extent


@pytest.mark.parametrize("preadv", [True, False])
def test_rows_of_a_file_are_read_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preadv: bool
) -> None:
    if not preadv:
        monkeypatch.delattr(os, "preadv", raising=False)
        monkeypatch.delattr(os, "pread", raising=False)
    (tmp_path / "w").write_bytes(bytes(range(200)))
    with closing(open_file(tmp_path / "w")) as source:
        buffer = bytearray(12)
        source.read_rows(5, 60, memoryview(buffer), 3)
        assert list(buffer) == [5, 6, 7, 65, 66, 67, 125, 126, 127, 185, 186, 187]
        with pytest.raises(FormatError, match="1 byte short"):
            source.read_rows(18, 60, memoryview(buffer), 3)
        (tmp_path / "w").write_bytes(bytes(100))
        with pytest.raises(FormatError, match="from 200 to 100 bytes"):
            source.read_rows(5, 60, memoryview(buffer), 3)


def test_leaves_are_cut_at_the_same_places(small: int) -> None:
    pairs = cut_together(in_file(VALUES), in_file(VALUES.astype("f2")))
    assert all(spec(one).shape == spec(other).shape for one, other in pairs)
    for place, dtype in enumerate(["f4", "f2"]):
        joined = np.concatenate([pair[place].numpy().ravel() for pair in pairs])
        np.testing.assert_array_equal(joined, VALUES.ravel().astype(dtype))


@pytest.mark.filterwarnings("ignore:torch.quantize:UserWarning")
@pytest.mark.parametrize("step", [Cut(0, 1, 3), Permute((1, 0, 2)), Reorder(0, (3, 1, 0, 2))])
def test_a_scale_for_each_channel_moves_with_its_channel(tmp_path: Path, step: Step) -> None:
    values = torch.arange(4 * 4 * 8.0).reshape(4, 4, 8)
    scales = torch.tensor([0.1, 0.5, 1.0, 2.0], dtype=torch.float64)
    packed = torch.quantize_per_channel(
        values, scales, torch.zeros(4, dtype=torch.int64), 0, torch.qint8
    )
    torch.save({"w": packed}, tmp_path / "w.pt")
    with sd.read_state_dict(tmp_path / "w.pt") as read:
        found = derive(step, [read["w"]]).numpy()
    np.testing.assert_array_equal(found, step.run(np, [packed.dequantize().numpy()]))
