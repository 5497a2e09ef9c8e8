"""Packing schemes: how the values of a packed weight lie in it and in what it is packed with.

A scheme is one file in ``schemes/``, with a subclass of PackingScheme and its method of
``dequantize``, which returns float32 values for the arrays of a weight by their roles.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from caten_sd.errors import StateDictError
from caten_sd.state.derived import indexed
from caten_sd.state.leaf import spec
from caten_sd.wording import counted

if TYPE_CHECKING:
    from typing_extensions import Self

    from caten_sd.blocks.stated_quantization import Stated

SCHEMES_PACKAGE = "caten_sd.blocks.schemes"

Parts = Mapping[str, Any]  # the leaves of a packed weight, by how their keys extend its plain name


@attrs.frozen(slots=False)
class PackingScheme:
    """How one weight is packed, as a value to dispatch on.

    ``method`` is the name that config.json has for it, and ``tools`` are the names of others that
    pack so. ``shape`` is that of the float weight, and ``rows_together`` how many rows of it cannot
    be cut from one another. ``blocks`` says in words what has a scale of its own. attrs makes a
    class with slots anew, and both would be subclasses to be found, so that schemes have none.
    """

    method: ClassVar[str]
    tools: ClassVar[frozenset[str]] = frozenset()

    shape: tuple[int, ...]
    bits: int
    blocks: str
    rows_together: int

    @classmethod
    def of(cls, key: str, parts: Parts, stated: Stated) -> Self | None:
        """Return the scheme of a weight by its shapes and by what config.json states, or None.

        StateDictError if the two contradict each other, or if they do not suffice. No more is read
        than a few bytes that describe the weight.
        """
        raise NotImplementedError

    def cut(self, parts: Parts, start: int, stop: int) -> dict[str, Any]:
        """Return the parts of some rows of the float weight; ``start`` is whole rows together."""
        raise NotImplementedError

    def of_rows(self, start: int, stop: int) -> Self:
        """Return the scheme of what ``cut`` returns, for a scheme that has to know the rows."""
        return self

    @property
    def times_read(self) -> int:
        """How many times all rows, a few at a time, read a byte of the packed weight."""
        return 1

    @property
    def columns_together(self) -> int:
        """How many columns of each row cannot be cut from one another; 0 if none can be."""
        return 0

    def cut_columns(self, parts: Parts, start: int, stop: int) -> tuple[Self, dict[str, Any]]:
        """Return the scheme and the parts of some columns, the second axis of the float weight."""
        raise NotImplementedError

    def __str__(self) -> str:
        return f"{self.method}, {counted(self.bits, 'bit')}, {self.blocks}"


@functools.cache
def packing_schemes() -> tuple[type[PackingScheme], ...]:
    """Return every scheme of ``schemes/``, in the order of their names."""
    folder = importlib.import_module(SCHEMES_PACKAGE).__path__
    for name in sorted(module.name for module in pkgutil.iter_modules(folder)):
        importlib.import_module(f"{SCHEMES_PACKAGE}.{name}")
    known = [cls for cls in PackingScheme.__subclasses__() if _is_built_in(cls)]
    return tuple(sorted(known, key=lambda cls: cls.__module__))


def _is_built_in(scheme: type[PackingScheme]) -> bool:
    return scheme.__module__.startswith(f"{SCHEMES_PACKAGE}.")


def scheme_of(key: str, parts: Parts, stated: Stated) -> PackingScheme | None:
    """Return the scheme by which a weight is packed; None if none of them fits its shapes."""
    for scheme in packing_schemes():
        if found := scheme.of(key, parts, stated):
            if stated.method in methods() - {found.method, *found.tools}:
                raise StateDictError(
                    f"{key} is packed as {found}, by its shapes, and config.json states the "
                    f"quant_method {stated.method!r}; get the config.json of this checkpoint"
                )
            return found
    return None


def methods() -> set[str]:
    """Return the names that config.json has for the schemes."""
    schemes = packing_schemes()
    return {name for scheme in schemes for name in (scheme.method, *scheme.tools)}


def are(kind: str, *leaves: Any, bits: int = 0) -> bool:
    """Return whether leaves have elements of this kind, "float" or "int", and of so many bits.

    >>> import numpy
    >>> are("int", numpy.ones(2, "u1"), numpy.ones(2, "i4")), are("int", numpy.ones(2), bits=64)
    (True, False)
    """
    dtypes = [spec(leaf).dtype for leaf in leaves]
    kinds = ("int", "uint") if kind == "int" else (kind,)
    return all(dtype.kind in kinds and bits in (0, dtype.bits) for dtype in dtypes)


def misfit(key: str, parts: Parts) -> StateDictError:
    """Return the error that a packed weight and what it is packed with contradict one another."""
    shapes = ", ".join(
        f"{role.lstrip('_.') or 'weight'} {spec(leaf).dtype.name} {list(spec(leaf).shape)}"
        for role, leaf in parts.items()
    )
    return StateDictError(
        f"{key} and what it is packed with do not fit one another ({shapes}); get the file again"
    )


def along(leaf: Any, axis: int, start: int, stop: int) -> Any:
    """Return a range of one axis of a leaf, unread.

    >>> import numpy
    >>> along(numpy.arange(6).reshape(2, 3), 1, 0, 2).tolist()
    [[0, 1], [3, 4]]
    """
    return indexed(leaf, (*(slice(None),) * axis, slice(start, stop)))
