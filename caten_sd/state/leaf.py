"""Leaves: values with a shape, a dtype and bytes, described and read by generic functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any, NamedTuple

from caten_sd.dispatch.generic import generic
from caten_sd.errors import CatenError, NoApplicableMethodError
from caten_sd.errors.printable import one_line
from caten_sd.state.dtype import DType
from caten_sd.wording import a_or_an

DENSE = "dense"


class Spec(NamedTuple):
    """A leaf's shape, element type and stored bytes, known without reading its data.

    ``nbytes`` is 0 for a leaf that has no values, as on torch's meta device. ``form`` is "dense"
    unless the values are not one element after another, as in a sparse tensor.
    """

    shape: tuple[int, ...]
    dtype: DType
    nbytes: int
    form: str = DENSE

    @property
    def has_values(self) -> bool:
        """Whether there is data behind the leaf."""
        return self.nbytes > 0 or 0 in self.shape


def spec_of(shape: Sequence[int], dtype: DType) -> Spec:
    """Return the Spec of a dense array of this shape.

    >>> from caten_sd.state.dtype import DTYPES
    >>> spec_of((2, 3), DTYPES["bfloat16"]).nbytes
    12
    """
    return Spec(tuple(shape), dtype, dtype.nbytes(math.prod(shape)))


class Numpy:
    """The kind ``numpy.ndarray`` as a value, for ``as_array(Numpy(), leaf)``."""

    __adapter__ = "numpy"


class Kind:
    """Another kind of array as a value, for ``as_array(Torch(), leaf)``; an adapter brings its own.

    ``__adapter__`` is the adapter's name, by which ``leaf.to(name)`` finds the kind. A leaf for
    which no method is taught goes by numpy, so one method, for ``numpy.ndarray``, is enough.
    """

    __adapter__ = ""


class Torch(Kind):
    """The kind ``torch.Tensor``."""

    __adapter__ = "torch"


def kind_named(name: str) -> Numpy | Kind:
    """Return the kind of array that the adapter of this name brings.

    >>> type(kind_named("numpy")).__name__
    'Numpy'
    """
    as_array.foreign.import_named(name)
    if name not in (known := _kinds()):
        as_array.foreign.load_entry_points()
        known = _kinds()
    if name not in known:
        raise CatenError(
            f"no adapter brings a kind of array with the name {name!r}; there are "
            f"{', '.join(sorted(known))}"
        )
    return known[name]()


def kind_of(leaf: Any) -> Kind | None:
    """Return the kind that a leaf of another world than numpy's is of; None for all others."""
    packages = {str(cls.__module__).partition(".")[0] for cls in type(leaf).__mro__}
    return next((kind() for kind in Kind.__subclasses__() if kind.__adapter__ in packages), None)


def _kinds() -> dict[str, type[Numpy | Kind]]:
    return {"numpy": Numpy, **{kind.__adapter__: kind for kind in Kind.__subclasses__()}}


@generic
def spec(leaf: Any, /) -> Spec:
    """Return the shape, dtype and byte count of a leaf, without reading its data."""
    raise NotImplementedError


@generic
def as_array(kind: Any, leaf: Any, /) -> Any:
    """Return the leaf as this kind of array, without a copy if its bytes allow it."""
    raise NotImplementedError


class Memory(NamedTuple):
    """Where a leaf's values are in memory.

    Two leaves that have one of their ``blocks`` in common may overlap. ``place``, which is rarely
    asked, returns for a leaf what only the same values have in common with it, or None.
    """

    blocks: tuple[Hashable, ...]
    place: Callable[[Any], Hashable]


@generic
def memory(leaf: Any, /) -> Memory | None:
    """Return where a leaf's values are, or None if they are in no memory of this process."""
    raise NotImplementedError


@memory.register(object)
def _unknown_memory(leaf: Any, /) -> None:
    return None


@as_array.register(Kind)
def _by_numpy(kind: Kind, leaf: Any, /) -> Any:
    """Go by numpy, where two kinds do not know each other."""
    array = as_array(Numpy(), leaf)
    if array is leaf:
        name = type(kind).__name__
        raise NoApplicableMethodError(
            f"as_array cannot make {a_or_an(name)} of a numpy array; add a method with "
            f"@as_array.register({name}, numpy.ndarray)"
        )
    return as_array(kind, array)


@generic
def dequantize(block_type: Any, raw: Any, /) -> Any:
    """Return float32 values (..., n) for raw uint8 blocks (..., n / per * bytes).

    For a packing scheme, ``raw`` has the arrays of a packed weight by their roles.
    """
    raise NotImplementedError


class LazyLeaf:
    """A leaf whose data is read only by ``numpy()``, ``torch()`` or a cast to an array.

    A subclass has ``shape`` and ``dtype``, and a method of ``as_array`` for at least Numpy. Every
    other kind of array is reached by numpy.
    """

    __slots__ = ()
    shape: tuple[int, ...]
    dtype: DType

    @property
    def bytes_of_chunks(self) -> int:
        """The bytes of all chunks that are read to have the leaf; 0 if it is read by itself."""
        return 0

    def origins(self) -> tuple[Any, ...]:
        """Return the leaves that this one is computed from; () if its bytes are its own."""
        return ()

    def numpy(self) -> Any:
        """Return the values as a ``numpy.ndarray``, without a copy if the bytes allow it."""
        return as_array(Numpy(), self)

    def torch(self) -> Any:
        """Return the values as a ``torch.Tensor``, without a copy if the bytes allow it."""
        return as_array(Torch(), self)

    def to(self, kind: str) -> Any:
        """Return the values as an array of the named kind: "numpy", "torch" or an adapter's."""
        return as_array(kind_named(kind), self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"{self!r} becomes {dtype} by a copy only")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a leaf without axes has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dtype}, {list(self.shape)})"


@memory.register(LazyLeaf)
def _memory_of_origins(leaf: LazyLeaf, /) -> Memory:
    """Return where the leaves are that it is computed from; its own values are in no place."""
    found = [each for each in map(memory, leaf.origins()) if each is not None]
    return Memory(tuple(block for each in found for block in each.blocks), _in_no_place)


def _in_no_place(leaf: LazyLeaf) -> None:
    return None


@spec.register(LazyLeaf)
def _unread_spec(leaf: LazyLeaf, /) -> Spec:
    return spec_of(leaf.shape, leaf.dtype)


class Opaque:
    """A value of an unknown class, kept inert: the name of its class, its arguments and state."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str, args: Any = (), state: Any = None) -> None:
        self.name, self.args, self.state = name, args, state

    def __repr__(self) -> str:
        return f"Opaque({one_line(self.name)})"


_PLAIN = frozenset((bool, int, float, complex, str, bytes, type(None)))
_PLAIN_OR_EMPTY = _PLAIN | {dict, list, tuple}


def are_plain(values: Collection[Any]) -> bool:
    """Return whether all values are numbers, texts, None or empty containers.

    >>> are_plain([1, "a", None, []]), are_plain([[1]])
    (True, False)
    """
    kinds = set(map(type, values))
    if kinds <= _PLAIN:
        return True
    return kinds <= _PLAIN_OR_EMPTY and all(type(v) in _PLAIN for v in filter(None, values))


def spec_or_none(leaf: Any) -> Spec | None:
    """Return the leaf's spec, or None for a value that is not a tensor, such as extra state."""
    # A file may hold millions, and an exception costs much.
    if type(leaf) in _PLAIN or isinstance(leaf, Opaque):
        return None
    try:
        return spec(leaf)
    except NoApplicableMethodError:
        return None
