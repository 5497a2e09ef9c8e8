"""The pickle of a flat state dict as ``torch.save`` writes it; torch is not needed."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from caten_sd.encodings.pickle.opcode_output import Memo, integer, sizes, text
from caten_sd.formats.torch.types import PAIRS, STORAGE_OF
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.indexing import c_strides
from caten_sd.state.leaf import Spec

NONE: Mapping[str, float] = MappingProxyType({})


class StoredTensor(NamedTuple):
    """A contiguous tensor, and the key of the storage that it fills."""

    name: str
    spec: Spec
    storage: str


def torch_can_hold(spec: Spec) -> bool:
    """Return whether torch has a tensor of this dtype and shape."""
    if spec.dtype == PAIRS.dtype:
        return bool(spec.shape) and spec.shape[-1] % 2 == 0
    return bool(spec.dtype.itemsize) and DTYPES.get(spec.dtype.name) == spec.dtype


def pickle_of(
    tensors: Iterable[StoredTensor], within: str = "", numbers: Mapping[str, float] = NONE
) -> bytes:
    """Return the pickle of an OrderedDict of the tensors, which torch loads with weights_only.

    Tensors of one storage are tied after the load. With ``within`` it is a dict that has that one
    under this name, and ``numbers`` next to it.
    """
    memo = Memo()
    ordered = memo.name("collections", "OrderedDict")
    outer = [b"}", *(text(key) + _float(value) + b"s" for key, value in numbers.items())]
    before, after = ([*outer, text(within)], b"us.") if within else ([], b"u.")
    parts = [b"\x80\x02", *before, ordered, b")R("]
    for tensor in tensors:
        parts += [text(tensor.name), _tensor(memo, tensor)]
    return b"".join([*parts, after])


def _float(value: float) -> bytes:
    return b"G" + struct.pack(">d", value)


def pickle_of_one(spec: Spec, storage: str) -> bytes:
    """Return the pickle of one tensor by itself."""
    return b"\x80\x02" + _tensor(Memo(), StoredTensor("", spec, storage)) + b"."


def _tensor(memo: Memo, tensor: StoredTensor) -> bytes:
    """Return the opcodes that call torch's function for a tensor over a storage."""
    dtype, shape = tensor.spec.dtype, tensor.spec.shape
    storage = STORAGE_OF.get(dtype.name)
    function = memo.name("torch._utils", "_rebuild_tensor_v2" if storage else "_rebuild_tensor_v3")
    storage_class = memo.name("torch" if storage else "torch.storage", storage or "UntypedStorage")
    if dtype == PAIRS.dtype:
        shape = (*shape[:-1], shape[-1] // 2)
    count = tensor.spec.nbytes // dtype.itemsize if storage else tensor.spec.nbytes
    # fmt: off
    return b"".join([
        function, b"((", memo.text("storage"), storage_class, text(tensor.storage),
        memo.text("cpu"), integer(count), b"tQK\0", sizes(shape), sizes(c_strides(shape)), b"\x89",
        memo.name("collections", "OrderedDict"), b")R",
        b"" if storage else memo.name("torch", _torch_name(dtype)), b"tR",
    ])
    # fmt: on


def _torch_name(dtype: DType) -> str:
    return PAIRS.name.removeprefix("torch.") if dtype == PAIRS.dtype else dtype.name
