"""The rows of a layout as they are declared: a tensor renamed, changed, assembled or dropped."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from caten_sd.mapping.axis_sizes import Size
from caten_sd.mapping.operations import Identity, Operation

Names = str | tuple[str, ...]
AS_IT_IS = Identity()


@dataclass(frozen=True)
class Row:
    """Canonical names, names in this layout (the same if left out), and the operation between.

    Names are patterns (see patterns.py), several where tensors are split or joined. ``shape`` is
    the canonical shape. ``tied`` is the canonical name of the tensor that this one equals where it
    is absent. ``untied`` is the entry of a model's configuration that says they differ. The names
    of a row that is not ``prefixed`` do not begin with the layout's prefix.

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

    @property
    def names(self) -> tuple[str, ...]:
        """The name in this layout, without a prefix."""
        return (self.here,)

    def __str__(self) -> str:
        return f"{self.here} (dropped: {self.reason})"
