"""A leaf's bytes as they lie in a file, a bounded piece at a time."""

from __future__ import annotations

import itertools
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from caten_sd import FormatError, StateDictError
from caten_sd.blocks.block_types import block_type
from caten_sd.state.backing import BytesBacking, FileBacking
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.compare import same_bytes
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.pieces import PIECE, content_hashes, reported_pieces, reporting
from caten_sd.state.source import Source


def whole(leaf: Any) -> bytes:
    return b"".join(reported_pieces(leaf))


@given(
    hnp.arrays(
        st.sampled_from(["<f4", ">f4", "<i8", ">i2", "u1", "?", "<c8"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0),
    ),
    st.data(),
)
def test_the_bytes_are_in_c_order_and_little_endian(array: Any, data: st.DataObject) -> None:
    axes = data.draw(st.permutations(range(array.ndim)))
    turned = np.transpose(array, axes)
    expected = np.ascontiguousarray(turned).astype(array.dtype.newbyteorder("<")).tobytes()
    assert whole(turned) == expected


@pytest.mark.parametrize(
    "leaf",
    [
        np.arange(12, dtype="f4").reshape(3, 4)[::-2, ::-1],
        np.broadcast_to(np.float32(3), (2, 3)),
        np.zeros(0, "f4"),
        np.ones((2, 0, 3)),
        np.array(7, "i8"),
        np.arange(6).astype(ml_dtypes.bfloat16).reshape(2, 3).T,
        np.arange(6).astype(ml_dtypes.float8_e4m3fn),
    ],
    ids=str,
)
def test_an_array_lying_anyhow_is_put_in_order(leaf: Any) -> None:
    assert whole(leaf) == np.ascontiguousarray(leaf).tobytes()


def test_a_tensor_of_torch_is_put_in_order() -> None:
    tensor = torch.nn.Parameter(torch.arange(6.0, dtype=torch.bfloat16).reshape(2, 3)).T
    assert whole(tensor) == bytes(tensor.detach().contiguous().view(torch.uint8).numpy())


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_no_piece_is_longer_than_said(extra: int) -> None:
    array = np.zeros(2 * PIECE + extra, "u1")
    for leaf in (array, array.reshape(1, -1), np.asfortranarray(array[: PIECE + 2].reshape(-1, 2))):
        sizes = [len(piece) for piece in reported_pieces(leaf)]
        assert sum(sizes) == leaf.nbytes
        assert 0 < max(sizes) <= PIECE


class Read:
    """Bytes that are read and never mapped, and whose reads are noted."""

    mapped = False

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def view(self, start: int, count: int) -> memoryview:
        raise AssertionError("it was mapped")

    def read(self, start: int, count: int) -> bytes:
        self.sizes.append(count)
        return bytes(count)

    def close(self) -> None:
        pass


def test_bytes_of_a_file_are_read_in_pieces_and_not_mapped() -> None:
    backing = Read()
    size = 10 * PIECE + 8
    leaf = LazyTensor(Source("w", backing, 0, size), 8, DTYPES["uint8"], (size - 8,))
    block = BlockTensor(block_type("q8_0"), leaf, (1,))
    tracemalloc.start()
    assert (
        sum(len(piece) for piece in itertools.chain(reported_pieces(leaf), reported_pieces(block)))
        == 20 * PIECE
    )
    assert tracemalloc.get_traced_memory()[1] < 4 * PIECE
    tracemalloc.stop()
    assert backing.sizes == [PIECE] * 20


def test_a_strided_or_big_endian_leaf_of_a_file_is_put_in_order() -> None:
    array = np.arange(6, dtype="<i2").reshape(2, 3)
    data = bytearray(array.tobytes())
    source = Source("w", BytesBacking(data), 0, len(data))
    assert whole(LazyTensor(source, 0, DTYPES["int16"], (3, 2), (1, 3))) == array.T.tobytes()
    swapped = LazyTensor(source, 0, DTYPES["int16"], (2, 3), order=">")
    assert whole(swapped) == array.byteswap().tobytes()


def test_objects_have_no_bytes() -> None:
    with pytest.raises(StateDictError, match="array of Python objects has no bytes to write"):
        whole(np.array([None]))


def test_what_is_drawn_is_counted_for_those_who_watch() -> None:
    seen = []
    with reporting(lambda done, total: seen.append((done, total)), 24):
        whole(np.zeros(2))
        whole(np.zeros(1))
        same_bytes(np.zeros(9), np.zeros(9))  # looks, and writes nothing
    whole(np.zeros(5))
    assert seen == [(16, 24), (24, 24)]
    with reporting(None, 24):
        assert len(whole(np.zeros(2))) == 16


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (np.zeros(3), np.zeros(3), True),
        (np.zeros(3), -np.zeros(3), False),
        (np.array([np.nan]), np.array([np.nan]), True),
        (np.zeros(3, "f4"), np.zeros(6, "f2"), True),
        (np.zeros(3), np.zeros(4), False),
        (np.zeros(0), np.zeros(0), True),
        (np.arange(6).reshape(2, 3).T, np.arange(6).reshape(2, 3).T.copy(), True),
        (np.zeros(PIECE + 1, "u1"), np.zeros(PIECE + 1, "u1"), True),
        (np.zeros(PIECE + 1, "u1"), np.append(np.zeros(PIECE, "u1"), 1).astype("u1"), False),
    ],
)
def test_bytes_are_compared_piece_by_piece(one: Any, other: Any, same: bool) -> None:
    assert same_bytes(one, other) is same


def in_file(path: Path, *, random_access: bool = True) -> LazyTensor:
    size = path.stat().st_size
    backing = FileBacking(path) if random_access else BytesBacking(path.read_bytes())
    return LazyTensor(Source(str(path), backing, 0, size), 0, DTYPES["uint8"], (size,))


@pytest.mark.parametrize("count", [0, 1, 2, 50])
@pytest.mark.parametrize("kind", ["threads", "no threads", "no random access"])
def test_hashes_have_the_order_of_their_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, kind: str
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    if kind != "threads":
        monkeypatch.setattr(threading.Thread, "start", refuse)
    data = [bytes([n]) * (1 + 1000 * (n % 7)) for n in range(count)]
    for number, each in enumerate(data):
        (tmp_path / str(number)).write_bytes(each)
    paths = [tmp_path / str(number) for number in range(count)]
    leaves = [in_file(path, random_access=kind != "no random access") for path in paths]
    assert content_hashes(leaves) == [xxhash.xxh3_128(each).digest() for each in data]


@pytest.mark.parametrize("place", [0, 1, 30])
def test_an_error_of_either_thread_is_raised(tmp_path: Path, place: int) -> None:
    for number in range(40):
        (tmp_path / str(number)).write_bytes(bytes(PIECE))
    leaves = [in_file(tmp_path / str(number)) for number in range(40)]
    (tmp_path / str(place)).write_bytes(b"cut off")
    with pytest.raises(FormatError, match=rf"{place}: it cannot be read \(the file changed"):
        content_hashes(leaves)
