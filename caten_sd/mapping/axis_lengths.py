"""Operations that make an axis longer or shorter: a padded vocabulary, rows that nothing uses.

What a layout cuts off is recorded in the metadata of the result, and is restored from there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.mapping.assembly import check_axis, unknown
from caten_sd.mapping.axis_sizes import Lookup, Size, terms, value
from caten_sd.mapping.field_kinds import checked_fields
from caten_sd.mapping.operations import Operation, extent_of
from caten_sd.state.derivation import whole_before
from caten_sd.state.derived import derive
from caten_sd.state.padding_steps import Padded, Trimmed


@dataclass(frozen=True)
class _AxisLength(Operation):
    """An operation that adds elements to one side of an axis, or cuts them off."""

    axis: int
    size: Size | None = None
    to: Size | None = None
    multiple: int = 0
    count: int = 0
    at: str = "end"
    value: float = 0.0

    def __post_init__(self) -> None:
        """Refuse lengths that cannot be undone."""
        check_axis(self.axis)
        lengths = [self.to is not None, self.multiple > 0, self.count > 0]
        for size in (self.size, self.to):
            if size is not None:
                terms(size)
        if sum(lengths) != 1 or (self.size is None) != (self.count > 0):
            raise LayoutError(
                f"{type(self).__name__} needs count=, or the size without the padding and one of "
                f"to= and multiple=, as in Pad(0, 'vocab_size', multiple=64)"
            )
        if self.at not in ("start", "end"):
            raise LayoutError(f"at={self.at!r} is not a place; give 'start' or 'end'")


@checked_fields
@dataclass(frozen=True)
class Pad(_AxisLength):
    """Elements of one value added to an axis: a ``count`` of them, or up to a size.

    ``size`` is the length without them, which the inverse needs. The length with them is ``to``, or
    the next multiple of ``multiple``. ``at`` is the "end" of the axis or its "start".

    >>> Pad(0, "vocab_size", multiple=64).inverse()
    Trim(axis=0, size='vocab_size', to=None, multiple=64, count=0, at='end', value=0.0)
    """

    def inverse(self) -> Operation:
        """Return the cut that leaves the elements before."""
        return Trim(**vars(self))

    def bind(self, lookup: Lookup) -> Operation:
        """Return the operation with the numbers that are known."""
        return replace(self, to=_bound(self.to, lookup))

    def leaf(self, leaf: Any) -> Any:
        """Return the leaf, longer: as it was if it was cut before, else with the value added."""
        extent = extent_of(leaf, self.axis)
        origin = self._origin(leaf, extent)
        if origin is not None:
            return origin
        more = self._length(extent) - extent
        if more < 0:
            raise LayoutError(
                f"axis {self.axis} of {extent} is longer than the {extent + more} that it would be "
                f"padded to; correct {self.to}"
            )
        before, after = (more, 0) if self.at == "start" else (0, more)
        return derive(Padded(self.axis, before, after, self.value), [leaf]) if more else leaf

    def _origin(self, leaf: Any, extent: int) -> Any:
        """Return the leaf that this one was cut from, if this operation undoes that; else None."""
        origin, step = whole_before(leaf)
        if step is None:
            return None
        whole = extent_of(origin, step.axis)
        start = whole - extent if self.at == "start" else 0
        same = (step.axis, step.start, step.stop) == (self.axis, start, start + extent)
        lengths = isinstance(self.to, str) or self._length(extent) == whole
        return origin if same and lengths else None

    def _length(self, extent: int) -> int:
        if self.multiple:
            return -(-extent // self.multiple) * self.multiple
        return extent + self.count if self.to is None else value(self.to, unknown)


@checked_fields
@dataclass(frozen=True)
class Trim(_AxisLength):
    """Elements cut off an axis: what ``Pad`` of the same fields adds.

    ``Trim(0, count=2, at="start")`` leaves out the first two rows.
    """

    def inverse(self) -> Operation:
        """Return the padding that adds them again."""
        return Pad(**vars(self))

    def bind(self, lookup: Lookup) -> Operation:
        """Return the operation with the length that is left as a number."""
        return replace(self, size=None if self.size is None else value(self.size, lookup))

    def leaf(self, leaf: Any) -> Any:
        """Return the leaf, shorter."""
        extent = extent_of(leaf, self.axis)
        kept = extent - self.count if self.size is None else value(self.size, unknown)
        if not 0 <= kept <= extent:
            raise LayoutError(
                f"axis {self.axis} of {extent} cannot be cut to {kept}; correct "
                f"{self.size or 'count='} or name the layout that the tensor is in"
            )
        start = extent - kept if self.at == "start" else 0
        return derive(Trimmed(self.axis, start, start + kept, self.value), [leaf])


def _bound(size: Size | None, lookup: Lookup) -> Size | None:
    """Return the size as a number, or as it is where a record may still say it."""
    try:
        return None if size is None else value(size, lookup)
    except LayoutError:
        return size
