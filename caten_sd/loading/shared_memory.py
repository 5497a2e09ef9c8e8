"""Slots that share elements in memory, as a parameter and a view of its rows.

The last write would win without a word, so different values for one element are refused before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from caten_sd.errors import CatenError, LoadError
from caten_sd.state.compare import same_values
from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.leaf import Numpy, as_array


@attrs.frozen(eq=False)
class Write:
    """A write to come: the place as a ``numpy.ndarray``, and the bytes of memory that it spans."""

    key: str
    array: Any
    leaf: Any
    start: int
    stop: int

    def values(self) -> Any:
        """Return what the place will hold, if no other write changes it."""
        try:
            found = with_bytes_copied(as_array, Numpy(), self.leaf)
        except CatenError as error:
            raise LoadError(
                f"{self.key} cannot be loaded ({error}); nothing was changed"
            ) from error
        return _cast(found, self.array.dtype).reshape(self.array.shape)

    def double(self, memory: Any, start: int) -> Any:
        """Return the place in a copy of the memory that begins at an address."""
        import numpy as np

        at = self.array.ctypes.data - start
        return np.ndarray(self.array.shape, self.array.dtype, memory, at, self.array.strides)


def _cast(array: Any, dtype: Any) -> Any:
    import numpy as np

    with np.errstate(all="ignore"):  # the report says what a cast has lost
        try:
            return array.astype(dtype)
        except TypeError:  # between some floats of 8 bits
            return array.astype(np.float32).astype(dtype)


def refuse_differences(writes: Iterable[tuple[str, Any, Any]]) -> None:
    """Raise LoadError if one of these writes (key, place, leaf) changes what another has written.

    Only memory of the host is looked at.
    """
    found = [write for each in writes if (write := _on_host(*each)) is not None]
    for group in _overlapping(found):
        if pair := _differing(group):
            raise LoadError(
                f"{' and '.join(pair)} share memory, and the file has different values for it; "
                f"nothing was changed: leave one of them out of the state dict"
            )


def _on_host(key: str, place: Any, leaf: Any) -> Write | None:
    try:
        array = as_array(Numpy(), place)
    except CatenError:  # it has no bytes that two could share
        return None
    if not array.size:
        return None
    ends = [(n - 1) * step for n, step in zip(array.shape, array.strides, strict=True)]
    first = array.ctypes.data
    start = first + sum(end for end in ends if end < 0)
    stop = first + sum(end for end in ends if end > 0) + array.itemsize
    return Write(key, array, leaf, start, stop)


def _overlapping(writes: Iterable[Write]) -> Iterator[list[Write]]:
    """Yield the writes in groups of two or more whose bytes overlap, each in the order given."""
    group: list[tuple[int, Write]] = []
    stop = 0
    for each in sorted(enumerate(writes), key=lambda numbered: numbered[1].start):
        if each[1].start >= stop:
            yield from _in_order(group)
            group = []
        group.append(each)
        stop = max(stop, each[1].stop)
    yield from _in_order(group)


def _in_order(group: list[tuple[int, Write]]) -> Iterator[list[Write]]:
    if len(group) > 1:
        yield [write for _, write in sorted(group, key=lambda numbered: numbered[0])]


def _differing(group: Sequence[Write]) -> list[str]:
    """Return the keys of a write and of a later one that changes its values; [] if none does."""
    import numpy as np

    start = min(each.start for each in group)
    memory = np.empty(max(each.stop for each in group) - start, np.uint8)
    doubles = [each.double(memory, start) for each in group]
    for each, double in zip(group, doubles, strict=True):
        double[...] = each.values()
    for number, (each, double) in enumerate(zip(group, doubles, strict=True)):
        if same_values(double, values := each.values()):
            continue
        double[...] = values
        for later, other in zip(group[number + 1 :], doubles[number + 1 :], strict=True):
            other[...] = later.values()
            if not same_values(double, values):
                return [each.key, later.key]
    return []
