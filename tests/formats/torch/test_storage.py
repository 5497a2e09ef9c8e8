from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import FormatError
from caten_sd.formats.torch.storage import MAX_UNFOLDED, Storage, negated
from caten_sd.formats.torch.types import ELEMENTS, PAIRS
from caten_sd.state.backing import BytesBacking
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Opaque
from caten_sd.state.source import Source


def storage(data: bytes, name: str = "float32", order: str = "<") -> Storage:
    return Storage(Source("a.pt:data/0", BytesBacking(data), 0, len(data)), ELEMENTS[name], order)


@given(st.data())
def test_a_view_is_what_as_strided_gives(data: Any) -> None:
    base = torch.arange(60, dtype=torch.int16)
    shape = tuple(data.draw(st.lists(st.integers(0, 4), max_size=4)))
    strides = tuple(
        data.draw(st.lists(st.integers(0, 6), min_size=len(shape), max_size=len(shape)))
    )
    offset = data.draw(st.integers(0, 9))
    held = storage(base.numpy().tobytes(), "int16")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if 0 not in shape and last >= 60:
        with pytest.raises(FormatError, match=f"reaches to element {last}, and its storage has 60"):
            held.view(offset, shape, strides)
        return
    leaf = held.view(offset, shape, strides)
    expected = base.as_strided(shape, strides, offset).numpy()
    np.testing.assert_array_equal(leaf.numpy(), expected)
    assert leaf.shape == shape


def test_the_same_view_is_the_same_leaf() -> None:
    held = storage(bytes(24))
    assert held.view(0, (2, 3), (3, 1)) is held.view(0, (2, 3), (3, 1))
    assert held.view(0, (2, 3), (3, 1)) is not held.view(0, (6,), (1,))


def test_contiguous_views_have_no_strides_whatever_axes_of_one_say() -> None:
    held = storage(bytes(24))
    assert held.view(0, (2, 1, 3), (3, 77, 1)).strides is None
    assert held.view(0, (3, 2), (1, 3)).strides == (1, 3)
    assert held.view(0, (0, 5), (9, 9)).strides is None


def test_a_storage_alone_is_a_leaf_of_one_axis() -> None:
    assert storage(bytes(24)).leaf().shape == (6,)


def test_types_without_a_dtype_stay_opaque_and_are_checked_all_the_same() -> None:
    leaf = storage(bytes(8), "complex32").view(0, (2,), (1,))
    assert (type(leaf), leaf.name, leaf.args) == (Opaque, "torch.complex32", ((2,),))
    with pytest.raises(FormatError, match="reaches to element 2"):
        storage(bytes(8), "complex32").view(0, (3,), (1,))


def test_pairs_of_4_bit_floats_are_counted_singly() -> None:
    held = storage(bytes([0x21, 0x43, 0x65, 0x07]), "uint8")
    leaf = held.view(0, (2, 2), (2, 1), PAIRS)
    assert leaf.shape == (2, 4)
    assert leaf.numpy().view("u1").tolist() == [[1, 2, 3, 4], [5, 6, 7, 0]]
    assert held.view(0, (2, 2), (1, 2), PAIRS).name == "torch.float4_e2m1fn_x2"
    assert held.view(0, (), (), PAIRS).name == "torch.float4_e2m1fn_x2"


@pytest.mark.parametrize("name", ["float32", "bfloat16", "int64", "complex64", "bool", "float16"])
def test_big_endian_storages_are_swapped(name: str) -> None:
    values = torch.tensor([1, 0, 3], dtype=getattr(torch, name))
    part = values.element_size() // 2 if values.is_complex() else values.element_size()
    data = values.view(torch.uint8).numpy().reshape(-1, part)[:, ::-1].tobytes()
    leaf = storage(data, name, ">").view(0, (3,), (1,))
    assert torch.equal(leaf.torch(), values)
    assert leaf[1:].numpy().view("u1").tolist() == values[1:].view(torch.uint8).tolist()


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "words"),
    [
        (-1, (2,), (1,), "not sizes"),
        (True, (2,), (1,), "not sizes"),
        (0, [2], (1,), "not sizes"),
        (0, (2.0,), (1,), "not sizes"),
        (0, (-2,), (1,), "not sizes"),
        (0, (2,), (-1,), "not sizes"),
        (0, (2**62,), (0,), "not sizes"),
        (0, (2,), (2**62,), "not sizes"),
        (0, (2, 3), (1,), "has 1 strides"),
        (0, (1,) * 65, (1,) * 65, "has 65 strides"),
        (1, (6,), (1,), "reaches to element 6"),
        (0, (2, 3), (100, 1), "reaches to element 102"),
        (2**61, (1,), (1,), "reaches to element"),
        (0, (0, 2**61), (1, 1), r"\[0, 2305843009213693952\] .*too large"),
        (0, (2**40,), (0,), "storage of only 24 bytes"),
        (0, (1024,) * 5, (0,) * 5, "storage of only 24 bytes"),
    ],
)
def test_a_view_past_its_storage_is_refused(
    offset: Any, shape: Any, strides: Any, words: str
) -> None:
    with pytest.raises(FormatError, match=words) as caught:
        storage(bytes(24)).view(offset, shape, strides)
    assert str(caught.value).startswith("a.pt:data/0: ")


def test_an_expanded_tensor_may_unfold_so_far() -> None:
    held = storage(bytes(24))
    assert held.view(0, (MAX_UNFOLDED // 4,), (0,)).shape == (MAX_UNFOLDED // 4,)
    with pytest.raises(FormatError, match="storage of only 24 bytes"):
        held.view(0, (MAX_UNFOLDED // 4 + 1,), (0,))


def test_signs_are_turned_when_the_leaf_is_read() -> None:
    values = torch.tensor([[1 + 2j, -3j], [0, 4 - 1j]], dtype=torch.complex64)
    leaf = storage(values.numpy().tobytes(), "complex64").view(1, (2,), (2,))
    assert isinstance(leaf, LazyTensor)
    expected = values.flatten()[1::2].conj()
    found = negated(leaf, conjugate=True)
    assert torch.equal(found.torch(), expected.resolve_conj())
    assert torch.equal(found[1:].torch(), expected[1:].resolve_conj())
    assert torch.equal(negated(leaf, conjugate=False).torch(), -values.flatten()[1::2])
    numbers = storage(np.array([1, -2], "<i4").tobytes(), "int32").view(0, (2,), (1,))
    assert negated(numbers, conjugate=False).numpy().tolist() == [-1, 2]
