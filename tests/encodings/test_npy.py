from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.encodings.npy import MAX_HEADER, npy_header, npy_header_bytes, npy_leaf
from caten_sd.errors import FormatError
from caten_sd.state.backing import BytesBacking
from caten_sd.state.dtype import DTYPES
from caten_sd.state.leaf import Opaque
from caten_sd.state.source import Source


def source_of(data: bytes) -> Source:
    return Source("w.npy", BytesBacking(data), 0, len(data))


def leaf_of(data: bytes) -> Any:
    source = source_of(data)
    return npy_leaf(source, npy_header(source))


def saved(array: Any, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), version)
    return file.getvalue()


def made(header: str, data: bytes = bytes(24), version: int = 1) -> bytes:
    text = header.encode("latin-1")
    size = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + data


def fields(descr: str = "'<f4'", order: str = "False", shape: str = "(2, 3)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "|i1", "?", "<c16", ">u2", "<f2"])
def test_every_array_of_numpy_is_read(version: tuple[int, int], order: str, dtype: str) -> None:
    array = np.array(np.arange(24).reshape(2, 3, 4) % 2, dtype, order=order)
    found = leaf_of(saved(array, version)).numpy()
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("=")


def test_fortran_order_is_strides_and_slices_stay_lazy() -> None:
    array = np.asfortranarray(np.arange(24.0).reshape(4, 6))
    leaf = leaf_of(saved(array))
    assert leaf.strides == (1, 4)
    np.testing.assert_array_equal(leaf[1:3, 2].numpy(), array[1:3, 2])


@given(st.sampled_from(sorted(DTYPES)), st.lists(st.integers(0, 300), max_size=4))
def test_what_is_written_is_what_numpy_reads(name: str, shape: list[int]) -> None:
    header = npy_header_bytes(DTYPES[name], shape)
    assert len(header) % 64 == 0
    file = io.BytesIO(header)
    np.lib.format.read_magic(file)
    found, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    assert not fortran
    if hasattr(np, name):
        assert (found, dtype) == (tuple(shape), np.dtype(name))
    else:
        assert dtype.kind == "V"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "does not begin as an .npy file"),
        (b"\x93NUMPY\1", "does not begin as an .npy file"),
        (made(fields(), version=9), r"version 9\.0 is unknown"),
        (made(fields("[('a', '<f4'")), "not what numpy writes"),
        (made(fields("[" * 9 + "]" * 9)), "not what numpy writes"),
        (made(fields("'<f3'")), "dtype '<f3' is unknown"),
        (made(fields("'f4,O'")), "is unknown"),
        (made(fields("'|V0'")), "is unknown"),
        (made(fields("os.system('x')")), "not what numpy writes"),
        (made(fields(shape="(-2, -3)")), "is not a tuple of sizes"),
        (made(fields(shape="(2.0, 3)")), "is not a tuple of sizes"),
        (made(fields(shape="(6)")), r"'\(6\)' is a number"),
        (made(fields(shape="'(6,)'")), "is not a tuple"),
        (made(fields(shape="(,)")), "not a tuple"),
        (made(fields(shape="(1 2,)")), "not a tuple"),
        (made(fields(shape=f"({'9' * 30},)")), "not a tuple"),
        (made(fields(shape=f"({'9' * 19},)")), "size of 2.63"),
        (made(fields(shape=f"({'1, ' * 65})")), "65 axes"),
        (made(fields(order="'False'")), "its fortran_order 'False'"),
        (made(fields() + fields()), "not what numpy writes"),
        (made(fields()[:-1] + "'shape': (6,)}"), "'shape' twice"),
        (made("{'descr': '<f4'}"), "has the keys descr"),
        (made("{" + "(" * 5000), "not what numpy writes"),
        (made(fields(), bytes(20)), "4 bytes short"),
        (made(fields(), bytes(25)), "1 byte after"),
        (made(fields(shape="(4611686018427387910,)")), "bytes short"),
        (b"\x93NUMPY\2\0" + (MAX_HEADER + 1).to_bytes(4, "little") + bytes(1 << 17), "claims"),
        (made(fields())[:30], "claims"),
        (b"\x93NUMPY\3\0\4\0\0\0\xff\xff\xff\xff", "not UTF-8"),
    ],
)
def test_what_numpy_does_not_write_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        leaf_of(data)


@pytest.mark.parametrize(
    "dtype",
    ["[('a', '<f4')]", "('<f4', (3,))", "[('a', [('b', '<f4', (2, 3))]), (('t', 'c'), '|O')]"],
)
def test_records_and_subarrays_are_opaque(dtype: str) -> None:
    assert leaf_of(made(fields(dtype))).name == f"numpy.ndarray of {dtype}"


def test_no_slow_match() -> None:
    for descr in ("[" * 30000, "[" + "('a', " * 10000, "[" + "''" * 20000, "[" + "[]" * 20000):
        with pytest.raises(FormatError):
            leaf_of(made(fields(descr), version=2))
    with pytest.raises(FormatError):
        leaf_of(made(fields(shape="(" + "1" * 60000 + "x,)"), version=2))
    with pytest.raises(FormatError):
        leaf_of(made("{" + " " * 60000 + "'descr'", version=2))


def test_long_doubles_and_text_are_not_tensors() -> None:
    assert isinstance(leaf_of(saved(np.zeros(2, np.longdouble))), Opaque)
    assert isinstance(leaf_of(saved(np.array([b"ab"]))), Opaque)
    assert leaf_of(saved(np.array("né", ">U4"))) == "né"
