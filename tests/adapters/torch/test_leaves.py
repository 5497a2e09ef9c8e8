"""Tensors of torch as leaves, and their values as arrays of either kind."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import (
    DimDynamic,
    ShapeEnv,
    StatelessSymbolicContext,
)

from caten_sd import CatenError
from caten_sd.extend import as_array, spec
from caten_sd.state.backing import BytesBacking
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Numpy, Torch, spec_or_none
from caten_sd.state.pieces import pieces
from caten_sd.state.source import Source

from ..test_numpy import noise

NAMES = [name for name, dtype in DTYPES.items() if dtype.bits > 6]
FP4 = torch.tensor([[0x21, 0x43], [0x65, 0xF7]], dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
FP4_VALUES = [[0.5, 1, 1.5, 2], [3, 4, 6, -6]]


def bits(tensor: torch.Tensor) -> bytes:
    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())


@pytest.mark.parametrize("name", NAMES)
def test_an_array_of_every_dtype_becomes_a_tensor_and_back(name: str) -> None:
    array = noise(name, 3, 4)
    tensor = as_array(Torch(), array)
    assert str(tensor.dtype) == f"torch.{name}"
    assert bits(tensor) == array.tobytes()
    assert spec(tensor) == spec(array)
    again = as_array(Numpy(), tensor)
    assert (again.dtype, again.tobytes()) == (array.dtype, array.tobytes())
    assert np.shares_memory(again.view("u1"), array.view("u1"))


@pytest.mark.parametrize("name", NAMES)
def test_bytes_of_a_file_become_a_tensor_of_every_dtype(name: str) -> None:
    array = noise(name, 3, 4)
    data = bytearray(array.tobytes())
    source = Source("w", BytesBacking(data), 0, len(data))
    tensor = LazyTensor(source, 0, DTYPES[name], (3, 4)).torch()
    assert (str(tensor.dtype), tuple(tensor.shape)) == (f"torch.{name}", (3, 4))
    assert bits(tensor) == array.tobytes()
    turned = LazyTensor(source, 0, DTYPES[name], (4, 3), (1, 4)).torch()
    assert bits(turned) == array.T.tobytes()


def test_read_only_bytes_are_copied() -> None:
    tensor = LazyTensor(
        Source("w", BytesBacking(bytes(8)), 0, 8), 0, DTYPES["float32"], (2,)
    ).torch()
    tensor += 1
    assert tensor.tolist() == [1, 1]


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float4_e2m1fn"])
def test_a_tensor_without_elements(name: str) -> None:
    leaf = LazyTensor(Source("w", BytesBacking(b""), 0, 0), 0, DTYPES[name], (0, 4))
    assert spec(leaf.torch())[:3] == ((0, 4), DTYPES[name], 0)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3)[::-1],
        np.arange(6.0).reshape(2, 3).T,
        np.broadcast_to(np.arange(3.0), (2, 3)),
        np.arange(3, dtype=">f8"),
        np.frombuffer(np.arange(3.0).tobytes()),
        np.zeros(4, [("a", "f8"), ("b", "u1")])["a"],
        np.zeros(4, [("a", "u1"), ("b", ml_dtypes.bfloat16)])["b"],
        np.array(5.0),
    ],
    ids=str,
)
def test_an_array_of_any_strides_becomes_a_tensor_without_a_warning(array: Any) -> None:
    tensor = as_array(Torch(), array)
    assert tensor.tolist() == array.tolist()
    tensor.add_(1)


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.zeros(1, "f4,f4")])
def test_an_array_that_torch_lacks_is_an_error(array: Any) -> None:
    with pytest.raises(CatenError, match=r"torch .*dtype.*convert"):
        as_array(Torch(), array)


def test_pairs_of_4_bit_floats_are_counted_one_by_one() -> None:
    assert spec(FP4)[:3] == ((2, 4), DTYPES["float4_e2m1fn"], 4)
    array = as_array(Numpy(), FP4)
    assert array.dtype == ml_dtypes.float4_e2m1fn
    assert array.astype("f4").tolist() == FP4_VALUES
    assert bits(as_array(Torch(), array)) == bits(FP4)
    assert b"".join(pieces(FP4)) == bits(FP4)
    data = bytearray(bits(FP4))
    lazy = LazyTensor(Source("w", BytesBacking(data), 0, 4), 0, spec(FP4).dtype, (2, 4))
    assert lazy.numpy().astype("f4").tolist() == FP4_VALUES
    assert (lazy.torch().dtype, bits(lazy.torch())) == (FP4.dtype, bits(FP4))


def test_an_odd_number_of_4_bit_floats_is_refused() -> None:
    with pytest.raises(CatenError, match=r"pairs.*\[2, 3\].*pad"):
        as_array(Torch(), np.zeros((2, 3), ml_dtypes.float4_e2m1fn))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(3.0, requires_grad=True),
        torch.arange(6).reshape(2, 3).T,
        torch.tensor([1 + 2j]).conj(),
        torch.tensor([1 + 2j]).conj().imag,
        torch.zeros(2, dtype=torch.bfloat16)[0],
        torch.empty(0, 3),
    ],
    ids=str,
)
def test_a_tensor_of_any_form_becomes_an_array(tensor: torch.Tensor) -> None:
    array = as_array(Numpy(), tensor)
    assert (array.tolist(), array.shape) == (tensor.tolist(), tuple(tensor.shape))


@pytest.mark.parametrize(
    ("tensor", "why"),
    [
        (torch.eye(2).to_sparse(), "torch.sparse_coo"),
        (torch.zeros(4, dtype=torch.uint8).view(torch.bits8), "bits8"),
    ],
)
def test_a_tensor_without_plain_bytes_is_an_error_that_says_so(
    tensor: torch.Tensor, why: str
) -> None:
    with pytest.raises(CatenError, match=rf"a Tensor .*{why}.*dense"):
        as_array(Numpy(), tensor)


def test_a_tensor_without_data_is_an_error_that_says_so() -> None:
    with pytest.raises(CatenError, match="meta device and has no data"):
        as_array(Numpy(), torch.empty(2, device="meta"))


@pytest.mark.filterwarnings("ignore:torch.quantize:UserWarning")  # of torch, once in a process
def test_a_quantized_tensor_is_one_leaf_of_another_kind() -> None:
    tensor = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    assert spec(tensor).dtype == ("qint8", "other", 8, 1)
    with pytest.raises(CatenError, match=r"a Tensor .*qint8"):
        as_array(Numpy(), tensor)


def test_a_parameter_before_its_first_input_does_not_have_a_spec() -> None:
    weight = torch.nn.LazyLinear(2).weight
    assert spec_or_none(weight) is None


def test_a_leaf_as_a_tensor_for_a_place_shares_its_memory() -> None:
    array = np.arange(3, dtype="f4")
    made = as_array(torch.nn.Parameter(torch.zeros(1)), array)
    assert type(made) is torch.Tensor
    assert np.shares_memory(made.numpy(), array)


def test_a_tensor_whose_sizes_are_symbols_has_a_spec() -> None:
    dynamic = StatelessSymbolicContext(dynamic_sizes=[DimDynamic.DYNAMIC] * 2)
    mode = FakeTensorMode(shape_env=ShapeEnv())
    known = spec(mode.from_tensor(torch.zeros(4, 5), symbolic_context=dynamic))
    assert (len(known.shape), known.dtype) == (2, DTYPES["float32"])
