from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import pytest
import torch
import torch._tensor
import torch.jit._pickle
import torch.storage
from torch import _utils

from caten_sd.errors import FormatError
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
