"""What the names in a torch pickle become here: leaves, sizes, parameters.

torch is not imported. Tensors become lazy leaves over their storages. Those that are made of other
tensors (sparse and nested ones, and wrapper subclasses) become an object with these as attributes,
whose names follow the tensor's key: ``w.indices`` and ``w.values`` of a sparse tensor, ``w.a`` and
``w.b`` of a TwoTensor. A meta tensor has no bytes and becomes an Opaque.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from caten_sd.encodings.pickle.arrays import array_leaf
from caten_sd.encodings.pickle.inert_values import Attributed, Instance, Reference, brief
from caten_sd.encodings.pickle.interpreter import Unpickled, unpickle
from caten_sd.errors import FormatError
from caten_sd.formats.torch.affine import affine_leaf
from caten_sd.formats.torch.resolve import Attributes, resolve
from caten_sd.formats.torch.storage import Storage, negated
from caten_sd.formats.torch.types import TYPES, ElementType, StorageType
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.header_memory import HeaderMemory
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Opaque
from caten_sd.state.source import Source
from caten_sd.wording import a_or_an

OPAQUE = "caten_sd.opaque"  # the metadata key of the objects left inert, counted by class

NestedReader = Callable[[Any], Storage]


def load(
    source: Source,
    start: int = 0,
    *,
    persistent_load: Callable[[Any], Any] | None = None,
    nested: NestedReader | None = None,
    memory: HeaderMemory | None = None,
) -> Unpickled:
    """Read a pickle that torch wrote; its value still holds storages and inert modules.

    ``nested`` reads the bytes of a storage's own file, which a tensor pickled without torch.save
    holds.
    """
    allowed = {**_NAMES, ("torch.storage", "_load_from_bytes"): nested or _refuse_nested}
    return unpickle(
        source, start=start, persistent_load=persistent_load, allowed=allowed, memory=memory
    )


def tree_of(
    pickled: Unpickled, source_name: str, attributes: Attributes | None = None
) -> tuple[Any, dict[str, Any]]:
    """Return the tree of leaves of a pickle's value, and metadata that counts its opaque objects.

    FormatError if it holds itself, nests or repeats without bound. ``attributes`` gives the names
    of a TorchScript class's parameters and buffers.
    """
    try:
        tree, opaque = resolve(pickled.value, attributes)
    except ValueError as error:
        raise FormatError(source_name, str(error), "write its tensors as one flat dict") from None
    if isinstance(tree, (LazyTensor, BlockTensor)):
        tree = {"": tree}
    if not isinstance(tree, (dict, list, tuple)):
        what = tree.name if isinstance(tree, Opaque) else f"{a_or_an(type(tree).__name__)}"
        raise FormatError(source_name, f"its pickle holds {what} and not tensors", "check the file")
    return tree, {OPAQUE: dict(opaque)} if opaque else {}


class StorageId(NamedTuple):
    """What a persistent id says of a storage; ``size`` counts elements."""

    element: ElementType
    key: str
    size: int
    view: Any


def storage_id(identity: Any) -> StorageId:
    """Return what a persistent id says; ValueError if it does not name a torch storage."""
    if type(identity) is not tuple or not 5 <= len(identity) <= 6 or identity[0] != "storage":
        raise ValueError(f"{brief(identity)} does not name a storage")
    _, kind, key, _, count, *view = identity
    if type(kind) is not StorageType:
        raise ValueError(f"{brief(kind)} is not a torch storage class")
    if type(key) is not str or type(count) is not int or count < 0:
        raise ValueError(f"a storage has the key {brief(key)} and {brief(count)} elements")
    return StorageId(kind.element, key, count, view[0] if view else None)


def _storage(value: Any) -> Storage:
    if type(value) is not Storage:
        raise ValueError(f"a tensor is made of {brief(value)}, which is not a storage")
    return value


def _tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any, element: Any = None
) -> Any:
    """``_rebuild_tensor(_v2)``; ``rest`` is requires_grad, the hooks, and torch's metadata."""
    leaf = _storage(storage).view(offset, shape, strides, element)
    metadata = rest[2] if len(rest) > 2 else None
    if metadata and isinstance(leaf, LazyTensor):
        if type(metadata) is not dict:
            raise ValueError("the metadata of a tensor is not a dict")
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
        raise ValueError(f"a tensor has {brief(element)} as its dtype")
    return _tensor(storage, offset, shape, strides, grad, hooks, metadata, element=element)


def _quantized(storage: Any, offset: Any, shape: Any, strides: Any, params: Any, *_: Any) -> Any:
    return affine_leaf(_storage(storage), offset, shape, strides, params)


def _parameter(data: Any, *_: Any) -> Any:
    if not isinstance(data, (LazyTensor, BlockTensor, Opaque)):
        raise ValueError(f"a parameter is made of {brief(data)}, which is not a tensor")
    return data


def _parameter_with_state(data: Any, grad: Any = None, hooks: Any = None, state: Any = None) -> Any:
    return _attributed(_parameter(data), state)


def _of_type(function: Any, kind: Any, args: Any, state: Any = None, *_: Any) -> Any:
    """``_rebuild_from_type_v2``: a tensor of a subclass.

    A subclass that wraps tensors has them in its attributes, and no values of its own.
    """
    if type(function) is not Reference:
        raise ValueError("a tensor of a subclass is not made by a function")
    made = function.call(args)
    if type(made) is Instance:
        return Instance(kind.name if isinstance(kind, Opaque) else made.name, made.args, state)
    return _attributed(made, state)


def _attributed(leaf: Any, state: Any) -> Any:
    """Return a tensor with its attributes, if any of them could hold another tensor."""
    if type(state) is dict and all(type(value) in _PLAIN for value in state.values()):
        return leaf
    return leaf if state is None else Attributed("an attributed tensor", (leaf,), state)


def _layout(name: Any = "") -> Any:
    return name if type(name) is str else Instance("torch.serialization._get_layout", (name,))


def _sparse(layout: Any, data: Any) -> Instance:
    """``_rebuild_sparse_tensor``: an object whose attributes are the parts, as torch calls them."""
    names = _SPARSE.get(layout) if type(layout) is str else None
    if names is None or type(data) is not tuple or len(data) < len(names):
        return Instance("torch._utils._rebuild_sparse_tensor", (layout, data))
    return Instance(layout, (), {**dict(zip(names, data, strict=False)), "layout": layout})


def _nested(*parts: Any) -> Instance:
    names = ("buffer", "sizes", "strides", "storage_offsets")
    return Instance("torch.nested", (), dict(zip(names, parts, strict=False)))


def _jagged(parts: Any) -> Instance:
    return Instance("torch.nested", (), parts)


def _from_numpy(data: Any, *_: Any) -> Any:
    leaf = array_leaf(data) if type(data) is Instance else data
    return _parameter(leaf)


def _size(values: Any = ()) -> tuple[int, ...]:
    if type(values) not in (list, tuple) or not all(type(n) is int for n in values):
        raise ValueError("a shape is not a list of ints")
    return tuple(values)


def _same(value: Any, *_: Any) -> Any:
    """Return the value of TorchScript's typed lists and type tags."""
    return value


def _refuse_nested(data: Any) -> Storage:
    raise ValueError("a storage in it is a file of its own, which this format does not hold")


_UTILS: dict[str, Any] = {
    "_rebuild_tensor": _tensor,
    "_rebuild_tensor_v2": _tensor,
    "_rebuild_tensor_v3": _tensor_v3,
    "_rebuild_qtensor": _quantized,
    "_rebuild_parameter": _parameter,
    "_rebuild_parameter_with_state": _parameter_with_state,
    "_rebuild_sparse_tensor": _sparse,
    "_rebuild_nested_tensor": _nested,
    "_rebuild_device_tensor_from_numpy": _from_numpy,
    "_rebuild_xla_tensor": _from_numpy,
    "_rebuild_device_tensor_from_cpu_tensor": _parameter,
}
_PLAIN = {bool, int, float, str, bytes, type(None)}
_SPARSE = {
    "torch.sparse_coo": ("indices", "values", "size"),
    "torch.sparse_csr": ("crow_indices", "col_indices", "values", "size"),
    "torch.sparse_csc": ("ccol_indices", "row_indices", "values", "size"),
    "torch.sparse_bsr": ("crow_indices", "col_indices", "values", "size"),
    "torch.sparse_bsc": ("ccol_indices", "row_indices", "values", "size"),
}
_LISTS = ("intlist", "doublelist", "boollist", "tensorlist")
_NAMES: dict[tuple[str, str], Any] = {
    **TYPES,
    **{("torch._utils", name): make for name, make in _UTILS.items()},
    **{("torch.jit._pickle", f"build_{name}"): _same for name in _LISTS},
    ("torch.jit._pickle", "restore_type_tag"): _same,
    ("torch", "Size"): _size,
    ("torch.serialization", "_get_layout"): _layout,
    ("torch.nested._internal.nested_tensor", "_rebuild_njt"): _jagged,
    ("torch._tensor", "_rebuild_from_type_v2"): _of_type,
    ("torch._tensor", "_rebuild_from_type"): _of_type,
    ("torch.tensor", "_rebuild_from_type"): _of_type,
    ("torch.nn.parameter", "Parameter"): _parameter,
    ("torch.nn.parameter", "Buffer"): _parameter,
}
