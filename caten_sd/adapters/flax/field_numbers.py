"""Numbers of Python in the fields of linen's dataclasses, as the step of a new TrainState is.

JAX makes an array of such a number as soon as it is in a function that ``jax.jit`` has compiled, so
that a file may have either. It stays the kind of number that it is.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import attrs
import numpy as np

from caten_sd.errors import CatenError
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.owner import slots_of
from caten_sd.objects.place import assign, refusal, replacement
from caten_sd.state.dtype import DTYPES
from caten_sd.state.keys import Pair, Path
from caten_sd.state.leaf import Memory, Numpy, Spec, as_array, memory, spec, spec_of

Array = np.ndarray[Any, Any]
_DTYPES = {bool: "bool", int: "int64", float: "float64", complex: "complex128"}


@attrs.frozen(eq=False)
class NewNumber:
    """A number that is to replace the one in a field."""

    number: Any


@attrs.frozen(eq=False)
class FieldNumber(NewNumber):
    """The number in a field of a dataclass, which is a leaf."""

    owner: Any = attrs.field(repr=False)
    name: str

    def detach(self) -> Array:
        """Return the number apart from its field."""
        found: Array = as_array(Numpy(), self)
        return found


def with_numbers(owner: Any, name: str, value: Any) -> Any:
    """Return a value of a dataclass, and in place of a number a leaf."""
    return FieldNumber(value, owner, name) if type(value) in _DTYPES else value


def as_leaf(value: Any) -> Any:
    """Return a number that a file holds as such as an array; any other value itself."""
    return as_array(Numpy(), NewNumber(value)) if type(value) in _DTYPES else value


@to_state_dict.register(NewNumber)
def _pairs(number: Any, parent: Path, /) -> list[Pair]:
    return [(list(parent), number)]


@slots_of.register(NewNumber)
def _no_owner(number: Any, /) -> None:
    """Return None for what is a leaf, although its class is one of attrs."""


@spec.register(NewNumber)
def _spec(number: Any, /) -> Spec:
    return spec_of((), DTYPES[_DTYPES[type(number.number)]])


@as_array.register(Numpy, NewNumber)
def _to_numpy(kind: Numpy, number: Any, /) -> Array:
    held = number.number
    try:
        return np.asarray(held, _DTYPES[type(held)])
    except OverflowError as error:
        raise CatenError(f"{held:#x} is too large for 64 bits: store it as text") from error


@as_array.register(NewNumber)
def _for_place(place: Any, leaf: Any, /) -> Any:
    return as_array(Numpy(), leaf)


@memory.register(FieldNumber)
def _memory(number: Any, /) -> Memory:
    return Memory((("FieldNumber", id(number.owner), number.name),), _itself)


def _itself(number: Any) -> Hashable:
    return id(number.owner), number.name


@refusal.register(FieldNumber)
def _frozen(place: Any, leaf: Any, /) -> str:
    return "a number of Python cannot be changed: put a new one into the dataclass"


@refusal.register(FieldNumber, NewNumber)
def _of_a_copy(place: Any, leaf: Any, /) -> str:
    """Return "" for a new number, which only a load into a copy puts into the copy's field."""
    return "" if type(leaf) is NewNumber else _frozen(place, leaf)


@replacement.register(NewNumber)
def _replacement(place: Any, leaf: Any, /, **options: Any) -> NewNumber:
    return NewNumber(type(place.number)(as_array(Numpy(), leaf).reshape(())[()]))


@assign.register(FieldNumber, NewNumber)
def _into_a_copy(place: Any, leaf: Any, /) -> None:
    object.__setattr__(place.owner, place.name, leaf.number)
