from __future__ import annotations

import argparse
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch._tensor
import torch.jit._pickle
import torch.storage
from torch import _utils
from torch.testing._internal.two_tensor import TwoTensor

from caten_sd.errors import FormatError
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.formats.torch.pickles import load, storage_id
from caten_sd.formats.torch.storage import Storage
from caten_sd.formats.torch.types import ELEMENTS, TYPES
from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source

VALUES = np.arange(4, dtype="f4")


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.reduced = function, args

    def __reduce__(self) -> Any:
        return self.reduced


class Tagged(pickle.Pickler):
    """Writes STORAGE as a persistent id."""

    def persistent_id(self, obj: Any) -> Any:
        return "0" if obj is STORAGE else None


def source_of(data: bytes) -> Source:
    return Source("a.pt", BytesBacking(data), 0, len(data))


STORAGE = Storage(source_of(VALUES.tobytes()), ELEMENTS["float32"])
VIEW = (STORAGE, 0, (2, 2), (2, 1))


def loaded(value: Any) -> Any:
    file = io.BytesIO()
    Tagged(file, 2).dump(value)
    return load(source_of(file.getvalue()), persistent_load=lambda identity: STORAGE).value


def test_a_tensor_keeps_the_signs_that_its_metadata_records() -> None:
    plain = loaded(Call(_utils._rebuild_tensor_v2, *VIEW, False, None))
    assert plain.numpy().tolist() == [[0, 1], [2, 3]]
    for metadata, sign in (({}, 1), ({"neg": True}, -1), ({"neg": False}, 1)):
        leaf = loaded(Call(_utils._rebuild_tensor_v2, *VIEW, False, None, metadata))
        assert leaf.numpy().tolist() == (sign * VALUES.reshape(2, 2)).tolist()


def test_arrays_subclasses_and_lists_of_torchscript_are_taken_apart() -> None:
    array = loaded(Call(_utils._rebuild_device_tensor_from_numpy, VALUES, torch.float32, "cpu", 0))
    assert array.numpy().tolist() == VALUES.tolist()
    args = (_utils._rebuild_tensor_v2, torch.Tensor, (*VIEW, False, None), {})
    assert loaded(Call(torch._tensor._rebuild_from_type_v2, *args)).shape == (2, 2)
    assert loaded(Call(torch.jit._pickle.build_intlist, [1, 2])) == [1, 2]
    assert loaded(Call(torch.Size, [3, 4])) == (3, 4)


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (Call(_utils._rebuild_tensor_v2, 7, 0, (1,), (1,)), "7, which is not a storage"),
        (Call(_utils._rebuild_tensor_v2, *VIEW, 0, 0, "neg"), "metadata .* not a dict"),
        (Call(_utils._rebuild_tensor_v3, *VIEW, 0, 0, 7), "7 as its dtype"),
        (Call(_utils._rebuild_parameter, 7, 0, 0), "7, which is not a tensor"),
        (Call(torch._tensor._rebuild_from_type_v2, 7, 0, (), {}), "not made by a function"),
        (Call(torch.Size, "34"), "shape is not a list of ints"),
        (Call(torch.storage._load_from_bytes, b""), "a file of its own"),
    ],
)
def test_calls_with_wrong_arguments_are_refused(call: Call, problem: str) -> None:
    with pytest.raises(FormatError, match=problem) as caught:
        loaded(call)
    assert str(caught.value).startswith("a.pt: ")


@pytest.mark.parametrize(
    ("identity", "problem"),
    [
        (("module", 1, 2, 3, 4), "does not name a storage"),
        (("storage", 7, "0", "cpu", 4), "7 is not a torch storage class"),
    ],
)
def test_a_persistent_id_that_names_no_storage_is_refused(identity: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        storage_id(identity)


@pytest.mark.parametrize(("key", "count"), [(0, 4), ("0", -1), ("0", 4.0)])
def test_a_storage_needs_a_key_and_a_count(key: Any, count: Any) -> None:
    kind: Any = TYPES["torch", "FloatStorage"]
    assert storage_id(("storage", kind, "0", "cpu", 4)) == (kind.element, "0", 4, None)
    with pytest.raises(ValueError, match="a storage has the key"):
        storage_id(("storage", kind, key, "cpu", count))


def read_back(value: Any, tmp_path: Path) -> dict[str, Any]:
    """Return what a file of this value holds, as torch's tensors."""
    torch.save(value, tmp_path / "a.pt")
    with read_state_dict(tmp_path / "a.pt", root="") as found:
        return {key: leaf.torch().clone() for key, leaf in found.items()}


def assert_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(found) == list(expected)
    for key, tensor in expected.items():
        assert torch.equal(found[key], tensor.detach())


ONES, TWOS = torch.ones(2, 3), torch.full((2, 3), 2.0)


@pytest.mark.parametrize("key", ["w", "layer.w"])
def test_a_wrapper_subclass_comes_out_as_the_tensors_that_it_wraps(
    key: str, tmp_path: Path
) -> None:
    wrapped: Any = TwoTensor(ONES, TWOS)
    for value in (wrapped, torch.nn.Parameter(wrapped)):
        found = read_back({key: value, "layer.b": ONES}, tmp_path)
        assert_equal(found, {f"{key}.a": ONES, f"{key}.b": TWOS, "layer.b": ONES})


def test_a_tied_wrapper_stays_tied(tmp_path: Path) -> None:
    wrapped = TwoTensor(ONES, TWOS)
    torch.save({"l.w": wrapped, "l.v": wrapped}, tmp_path / "a.pt")
    with read_state_dict(tmp_path / "a.pt") as found:
        assert dict(found.ties) == {"l.v.a": "l.w.a", "l.v.b": "l.w.b"}


@pytest.mark.filterwarnings("ignore:.*(eta|sparse|Sparse|ested).*")
def test_sparse_and_nested_tensors_come_out_in_their_parts(tmp_path: Path) -> None:
    eye, parts = torch.eye(4), [torch.ones(2), torch.ones(3)]
    given = {
        "l.coo": eye.to_sparse(),
        "l.csr": eye.to_sparse_csr(),
        "l.csc": eye.to_sparse_csc(),
        "l.bsr": eye.to_sparse_bsr((2, 2)),
        "l.bsc": eye.to_sparse_bsc((2, 2)),
        "l.nested": torch.nested.nested_tensor(parts),
        "l.jagged": torch.nested.nested_tensor(parts, layout=torch.jagged),
    }
    found = read_back(given, tmp_path)
    coo, csr, csc, bsr, bsc, nested, jagged = given.values()
    expected = {
        "l.coo.indices": coo._indices(),
        "l.coo.values": coo._values(),
        "l.csr.crow_indices": csr.crow_indices(),
        "l.csr.col_indices": csr.col_indices(),
        "l.csr.values": csr.values(),
        "l.csc.ccol_indices": csc.ccol_indices(),
        "l.csc.row_indices": csc.row_indices(),
        "l.csc.values": csc.values(),
        "l.bsr.crow_indices": bsr.crow_indices(),
        "l.bsr.col_indices": bsr.col_indices(),
        "l.bsr.values": bsr.values(),
        "l.bsc.ccol_indices": bsc.ccol_indices(),
        "l.bsc.row_indices": bsc.row_indices(),
        "l.bsc.values": bsc.values(),
        "l.nested.buffer": nested.values(),
        "l.nested.sizes": nested._nested_tensor_size(),
        "l.jagged._values": jagged.values(),
        "l.jagged._offsets": jagged.offsets(),
    }
    assert_equal({key: found[key] for key in expected}, expected)
    with read_state_dict(tmp_path / "a.pt") as state_dict:
        assert state_dict.others["l.coo.size.0"] == 4
        assert state_dict.others["l.bsr.layout"] == "torch.sparse_bsr"


def test_a_parameter_keeps_its_key_beside_its_attributes(tmp_path: Path) -> None:
    weight: Any = torch.nn.Parameter(ONES)
    weight.main_grad, weight.tag = TWOS, "x"
    bias: Any = torch.nn.Parameter(TWOS)
    bias.tag = "x"
    found = read_back({"w": weight, "l.w": weight, "b": bias}, tmp_path)
    expected = {"w": ONES, "w.main_grad": TWOS, "l.w": ONES, "l.w.main_grad": TWOS, "b": TWOS}
    assert_equal(found, expected)


@pytest.mark.filterwarnings("ignore")
def test_quantized_modules_give_their_packed_weights(tmp_path: Path) -> None:
    linear = torch.ao.quantization.quantize_dynamic(
        torch.nn.Sequential(torch.nn.Linear(3, 2)), {torch.nn.Linear}
    )
    weight, bias = linear[0]._packed_params._weight_bias()
    packed = "0._packed_params._packed_params"
    expected = {f"{packed}.0": weight.dequantize(), f"{packed}.1": bias}
    torch.save(linear, tmp_path / "a.pt")
    with read_state_dict(tmp_path / "a.pt") as found:
        assert_equal({key: torch.tensor(leaf.numpy()) for key, leaf in found.items()}, expected)
    conv = torch.nn.Sequential(torch.ao.nn.quantized.Conv2d(3, 4, 3))
    torch.jit.script(conv).save(tmp_path / "b.pt")
    with read_state_dict(tmp_path / "b.pt") as found:
        first = next(iter(found.values()))
        assert torch.equal(torch.tensor(first.numpy()), conv[0].weight().dequantize())


def test_a_whole_object_with_models_and_optimizer_comes_out(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    learner = argparse.Namespace(model=model, opt=torch.optim.Adam(model.parameters()), path=".")
    model(torch.ones(1, 3)).sum().backward()
    learner.opt.step()
    learner.callbacks = [argparse.Namespace(learner=learner, metric=len)]
    torch.save(learner, tmp_path / "export.pkl")
    with read_state_dict(tmp_path / "export.pkl") as found:
        assert_equal({k: leaf.torch() for k, leaf in found.items()}, model.state_dict())
        assert list(found.rest) == ["opt", "path", "callbacks"]
        moments = [found.rest["opt"]["state"]["values"][0][n].torch() for n in ("step", "exp_avg")]
    state = learner.opt.state[model.weight]
    assert torch.equal(moments[0], state["step"])
    assert torch.equal(moments[1], state["exp_avg"])
