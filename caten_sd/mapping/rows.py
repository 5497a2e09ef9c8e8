"""The rows of a layout as they are declared: a tensor renamed, changed, assembled or dropped."""

from __future__ import annotations

import re
from collections.abc import Iterable
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
    Each layer that another row finds must have a row's key, unless the row is ``optional`` or found
    ``in_some_layers``, as where a model has layers of two kinds.
    ``flag`` is the entry of a model's configuration that says whether the model has the tensor, as
    "attention_bias"; such a row is optional where no configuration says it. ``ranks`` are the axes
    along which tensor-parallel ranks divide the tensor, of which the shapes choose one; without
    them each rank has it whole.

    ``also`` has other names in this layout, which are read and never written: one, or for a row of
    several names a tuple of as many, or a tuple of such alternatives. A tied row that is optional
    means a tensor that is not stored only where the canonical name ``given`` is there.

    >>> print(Row(("q.{i}", "k.{i}"), "qk.{i}"))
    q.{i} and k.{i} <-> qk.{i}
    """

    canonical: Names
    here: Names = ""
    operation: Operation = AS_IT_IS
    _: KW_ONLY
    shape: tuple[Size, ...] | None = None
    optional: bool = False
    in_some_layers: bool = False
    prefixed: bool = True
    tied: str = ""
    untied: tuple[str, bool] | None = None
    where: str = ""
    also: Names | tuple[Names, ...] = ()
    given: str = ""
    flag: str = ""
    ranks: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.flag:
            object.__setattr__(self, "optional", True)
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

    @property
    def also_names(self) -> tuple[tuple[str, ...], ...]:
        """The other names that are read, as many in each alternative as the row has names."""
        also = (self.also,) if isinstance(self.also, str) else tuple(self.also)
        if len(self.names) > 1 and all(isinstance(each, str) for each in also) and also:
            return (tuple(map(str, also)),)
        return tuple((each,) if isinstance(each, str) else tuple(each) for each in also)

    def with_choices(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return names with the choices of each capture that another name of the row gives."""
        if not any(":" in name for name in (*self.canonical_names, *self.names)):
            return names
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
class Constant:
    """Elements of one value, in a tensor that a layout does not store.

    ``like`` is the canonical name of a tensor with its captures, its dtype and its shape, or of
    that shape the ``axes``: (0,) for the bias of a weight. ``value`` may be the name of a number in
    a model's configuration, or "axis 0", the length of that axis of the tensor. ``unless`` names
    entries of the configuration or the metadata that would make the value another one.
    """

    value: float | str
    _: KW_ONLY
    like: str
    axes: tuple[int, ...] | None = None
    unless: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lacks:
    """A canonical name that this layout does not have, and why.

    Without a ``constant`` the tensor is left out. With one, it is checked to be that constant when
    it is left out, and made where another layout needs it. With ``tied``, a canonical name, it is
    checked to have the values of that tensor.
    """

    canonical: str
    reason: str
    _: KW_ONLY
    constant: Constant | None = None
    tied: str = ""
    where: str = ""

    def __str__(self) -> str:
        return f"{self.canonical} (lacking: {self.reason})"


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


def canonical_rows(rows: Iterable[Row | Drop | Lacks]) -> list[Row]:
    """Return the rows of the layout of the canonical names that these rows have.

    >>> [str(row) for row in canonical_rows([Row(("q", "k"), "qk"), Drop("mask", "computed")])]
    ['q <-> q', 'k <-> k']
    """
    rows = list(rows)
    lacking = [row for row in rows if isinstance(row, Lacks)]
    return [Row(row.canonical, optional=True, where=row.where) for row in lacking] + [
        Row(
            name,
            shape=row.shape,
            optional=row.optional,
            in_some_layers=row.in_some_layers,
            where=row.where,
        )
        for row in rows
        if isinstance(row, Row)
        for name in row.with_choices(row.canonical_names)
    ]


def _check_shape(row: Row | Drop, shape: tuple[Size, ...] | None) -> None:
    """Refuse a shape with a size that no axis can have."""
    if shape is not None and not isinstance(shape, (tuple, list)):
        raise LayoutError(f"row {row}: shape= takes a tuple of sizes, not {shape!r:.60}")
    try:
        for size in shape or ():
            terms(size)
    except LayoutError as error:
        raise LayoutError(f"row {row}: shape={shape}: {error}") from None
