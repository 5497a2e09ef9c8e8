"""The rows of a layout as they are declared: a tensor renamed, changed, assembled or dropped."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Size, terms
from caten_sd.mapping.operations import Identity, Operation

Names = str | tuple[str, ...]
AS_IT_IS = Identity()

_NAME = re.compile(r"\{(\w+)\}")
_CHOICES = re.compile(r"\{(\w+)(:[^{}]+)\}")


@dataclass(frozen=True)
class Row:
    """Canonical names, names in this layout (the same if left out), and the operation between.

    Names are patterns (see patterns.py), several where tensors are split or joined. ``shape`` is
    the canonical shape. ``tied`` is the canonical name of the tensor that this one equals where it
    is absent. ``untied`` is the entry of a model's configuration that says they differ. The names
    of a row that is not ``prefixed`` do not begin with the layout's prefix. ``where`` compares
    captured indices with numbers, as in "i % 2 == 0 and i < n_dense": only such keys are the row's.

    >>> print(Row(("q.{i}", "k.{i}"), "qk.{i}"))
    q.{i} and k.{i} <-> qk.{i}
    """

    canonical: Names
    here: Names = ""
    operation: Operation = AS_IT_IS
    _: KW_ONLY
    shape: tuple[Size, ...] | None = None
    optional: bool = False
    prefixed: bool = True
    tied: str = ""
    untied: tuple[str, bool] | None = None
    where: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.operation, Operation):
            raise LayoutError(
                f"row {self}: {self.operation!r} is not an operation; give one of "
                f"caten_sd.layout, such as Transpose(), or an instance of your own Operation"
            )
        _check_shape(self, self.shape)

    @property
    def canonical_names(self) -> tuple[str, ...]:
        """The canonical names, always as a tuple."""
        return (self.canonical,) if isinstance(self.canonical, str) else tuple(self.canonical)

    @property
    def names(self) -> tuple[str, ...]:
        """The names in this layout, without a prefix."""
        here = self.here or self.canonical
        return (here,) if isinstance(here, str) else tuple(here)

    def with_choices(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return names with the choices of each capture that another name of the row gives."""
        found = dict(_CHOICES.findall(" ".join((*self.canonical_names, *self.names))))
        return tuple(
            _NAME.sub(lambda name: f"{{{name[1]}{found.get(name[1], '')}}}", text) for text in names
        )

    @property
    def renames_only(self) -> bool:
        """Whether the tensor stays as it is."""
        return isinstance(self.operation, Identity)

    def __str__(self) -> str:
        return f"{' and '.join(self.canonical_names)} <-> {' and '.join(self.names)}"


@dataclass(frozen=True)
class Drop:
    """A name in this layout that is not state, and why; with ``shape``, only in that shape."""

    here: str
    reason: str
    _: KW_ONLY
    shape: tuple[Size, ...] | None = None
    prefixed: bool = True

    def __post_init__(self) -> None:
        _check_shape(self, self.shape)

    @property
    def names(self) -> tuple[str, ...]:
        """The name in this layout, without a prefix."""
        return (self.here,)

    def __str__(self) -> str:
        return f"{self.here} (dropped: {self.reason})"


def _check_shape(row: Row | Drop, shape: tuple[Size, ...] | None) -> None:
    """Refuse a shape with a size that no axis can have."""
    try:
        for size in shape or ():
            terms(size)
    except LayoutError as error:
        raise LayoutError(f"row {row}: shape={shape}: {error}") from None
