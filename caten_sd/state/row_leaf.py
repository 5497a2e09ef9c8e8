"""RowLeaf: a leaf whose rows are computed from few rows of other leaves."""

from __future__ import annotations

from typing import Any

from caten_sd.state.derived import derive, indexed
from caten_sd.state.leaf import LazyLeaf
from caten_sd.state.steps import Cut


class RowLeaf(LazyLeaf):
    """A leaf of which a range of rows is a leaf of the same kind; other axes are cut afterwards."""

    __slots__ = ()

    @property
    def rows_together(self) -> int:
        """How many rows cannot be cut from one another."""
        return 1

    @property
    def times_read(self) -> int:
        """How many times parts of the leaf read the same bytes, as where a byte has far rows."""
        return 1

    def rows(self, start: int, stop: int) -> Any:
        """Return some rows as a leaf; ``start`` is a multiple of the rows that stay together."""
        raise NotImplementedError

    def __getitem__(self, index: Any) -> Any:
        """Return a lazy slice, for which only the rows in it are computed."""
        box = index if isinstance(index, tuple) else (index,)
        if len(box) != len(self.shape) or not all(map(is_range, box)):
            return indexed(self, index)
        first, *rest = box
        together = self.rows_together
        start = first.start // together * together
        stop = min(-(-first.stop // together) * together, self.shape[0])
        if first.start == first.stop:  # no row is needed
            start, stop = 0, self.shape[0]
        found = self if (start, stop) == (0, self.shape[0]) else self.rows(start, stop)
        for axis, each in enumerate([slice(first.start - start, first.stop - start), *rest]):
            found = derive(Cut(axis, each.start, each.stop), [found])
        return found


def is_range(pick: Any) -> bool:
    """Return whether an index is a range from one index to a later one, or to itself."""
    if not isinstance(pick, slice) or pick.step is not None:
        return False
    ends = (pick.start, pick.stop)
    return all(isinstance(end, int) for end in ends) and 0 <= pick.start <= pick.stop
