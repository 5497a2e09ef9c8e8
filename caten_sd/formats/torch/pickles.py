"""torch's part of a pickle: the names it uses, each with what it stands for here.

No torch is imported: tensors become lazy leaves over their storages, and what has no bytes of its
own (sparse, nested and meta tensors) stays an Opaque that keeps its parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from caten_sd.encodings.pickle.arrays import array_leaf
from caten_sd.encodings.pickle.inert_values import Instance, Reference, brief
from caten_sd.encodings.pickle.interpreter import Unpickled, unpickle
from caten_sd.errors import FormatError
from caten_sd.formats.torch.affine import affine_leaf
from caten_sd.formats.torch.resolve import Attributes, resolve
from caten_sd.formats.torch.storage import Storage, negated
from caten_sd.formats.torch.types import TYPES, ElementType, StorageType
from caten_sd.state.leaf import BlockTensor, LazyTensor, Opaque
from caten_sd.state.source import Source

OPAQUE = "caten_sd.opaque"  # the metadata entry that counts the objects left inert, by class

_PREFIX = 1 << 20  # bytes; pickles of most files are shorter

Nested = Callable[[Any], Storage]


def load(
    source: Source,
    start: int = 0,
    *,
    persistent_load: Callable[[Any], Any] | None = None,
    nested: Nested | None = None,
) -> Unpickled:
    """Read a pickle that torch wrote; its value still holds storages and inert modules.

    ``nested`` reads the whole file of one storage, as a tensor pickled without torch.save holds it.
    What follows the pickle is not read: where it is not mapped, more and more is tried.
    """
    allowed = {**_NAMES, ("torch.storage", "_load_from_bytes"): nested or _refuse_nested}
    left = source.size - start
    size = left if source.mapped else min(left, _PREFIX)
    while True:
        data = source.view(start, size)
        try:
            read = unpickle(
                data, source_name=source.name, persistent_load=persistent_load, allowed=allowed
            )
            return read._replace(end=start + read.end)
        except FormatError:
            if size == left:
                raise
            size = min(left, 16 * size)


def tree_of(
    read: Unpickled, source_name: str, attributes: Attributes | None = None
) -> tuple[Any, dict[str, Any]]:
    """Return the tree of leaves of a pickle's value, and what is to be said of it.

    FormatError if it holds itself, nests or repeats without bound. ``attributes`` gives the names
    of a TorchScript class's parameters and buffers.
    """
    try:
        tree, opaque = resolve(read.value, attributes)
    except ValueError as error:
        raise FormatError(source_name, str(error), "it is made to deceive, do not use it") from None
    if isinstance(tree, (LazyTensor, BlockTensor)):
        tree = {"": tree}
    if not isinstance(tree, (dict, list, tuple)):
        what = tree.name if isinstance(tree, Opaque) else f"a {type(tree).__name__}"
        raise FormatError(source_name, f"its pickle holds {what}, no tensors", "check the file")
    return tree, {OPAQUE: dict(opaque)} if opaque else {}


class StorageId(NamedTuple):
    """A persistent id of torch's: a storage's elements, key and size in elements, and its view."""

    element: ElementType
    key: str
    size: int
    view: Any


def storage_id(identity: Any) -> StorageId:
    """Return what a persistent id says; ValueError if it names no storage of torch's."""
    if type(identity) is not tuple or not 5 <= len(identity) <= 6 or identity[0] != "storage":
        raise ValueError(f"{brief(identity)} names no storage")
    _, kind, key, _, count, *view = identity
    if type(kind) is not StorageType:
        raise ValueError(f"{brief(kind)} is no storage class of torch's")
    if type(key) is not str or type(count) is not int or count < 0:
        raise ValueError(f"a storage has the key {brief(key)} and {brief(count)} elements")
    return StorageId(kind.element, key, count, view[0] if view else None)


def _storage(value: Any) -> Storage:
    if type(value) is not Storage:
        raise ValueError(f"a tensor is made of {brief(value)}, which is no storage")
    return value


def _tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any, element: Any = None
) -> Any:
    """``_rebuild_tensor(_v2)``: then whether it needs a gradient, its hooks, its signs."""
    leaf = _storage(storage).view(offset, shape, strides, element)
    metadata = rest[2] if len(rest) > 2 else None
    if metadata and isinstance(leaf, LazyTensor):
        if type(metadata) is not dict:
            raise ValueError("a tensor's metadata is no dict")
        if metadata.get("conj"):
            leaf = negated(leaf, conjugate=True)
        if metadata.get("neg"):
            leaf = negated(leaf, conjugate=False)
    return leaf


def _tensor_v3(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, element: Any,
    metadata: Any = None,
) -> Any:  # fmt: skip
    if type(element) is not ElementType:
        raise ValueError(f"a tensor has the dtype {brief(element)}")
    return _tensor(storage, offset, shape, strides, grad, hooks, metadata, element=element)


def _quantised(storage: Any, offset: Any, shape: Any, strides: Any, params: Any, *_: Any) -> Any:
    return affine_leaf(_storage(storage), offset, shape, strides, params)


def _parameter(data: Any, *_: Any) -> Any:
    if not isinstance(data, (LazyTensor, BlockTensor, Opaque)):
        raise ValueError(f"a parameter is made of {brief(data)}, which is no tensor")
    return data


def _of_type(function: Any, kind: Any, args: Any, *_: Any) -> Any:
    """``_rebuild_from_type_v2``: a tensor of a subclass, whose own attributes are left out."""
    if type(function) is not Reference:
        raise ValueError("a tensor of a subclass is made by what is no function")
    return function.call(args)


def _from_numpy(data: Any, *_: Any) -> Any:
    leaf = array_leaf(data) if type(data) is Instance else data
    return _parameter(leaf)


def _size(values: Any = ()) -> tuple[int, ...]:
    if type(values) not in (list, tuple) or not all(type(n) is int for n in values):
        raise ValueError("a shape is made of what are no sizes")
    return tuple(values)


def _same(value: Any, *_: Any) -> Any:
    """TorchScript's typed lists, and its tags of a value's type."""
    return value


def _refuse_nested(data: Any) -> Storage:
    raise ValueError("a storage holds files within files without end")


_UTILS: dict[str, Any] = {
    "_rebuild_tensor": _tensor,
    "_rebuild_tensor_v2": _tensor,
    "_rebuild_tensor_v3": _tensor_v3,
    "_rebuild_qtensor": _quantised,
    "_rebuild_parameter": _parameter,
    "_rebuild_parameter_with_state": _parameter,
    "_rebuild_device_tensor_from_numpy": _from_numpy,
    "_rebuild_xla_tensor": _from_numpy,
    "_rebuild_device_tensor_from_cpu_tensor": _parameter,
}
_LISTS = ("intlist", "doublelist", "boollist", "tensorlist")
_NAMES: dict[tuple[str, str], Any] = {
    **TYPES,
    **{("torch._utils", name): make for name, make in _UTILS.items()},
    **{("torch.jit._pickle", f"build_{name}"): _same for name in _LISTS},
    ("torch.jit._pickle", "restore_type_tag"): _same,
    ("torch", "Size"): _size,
    ("torch._tensor", "_rebuild_from_type_v2"): _of_type,
    ("torch._tensor", "_rebuild_from_type"): _of_type,
    ("torch.tensor", "_rebuild_from_type"): _of_type,
    ("torch.nn.parameter", "Parameter"): _parameter,
    ("torch.nn.parameter", "Buffer"): _parameter,
}
