"""Blocks of values in a wider dtype, in memory that is used again for the next block."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

_LINE = 64  # bytes; what begins on a line of the cache is read and written twice as fast
_KEPT = -0x7000_2000  # the bits of a half that was moved to the place of a float's
_SCALE = 2.0**112  # between the exponents of both
_NOT_FINITE = 0x7C00


def room_for(count: int, dtype: Any) -> Any:
    """Return memory for an array, which begins on a line of the processor's cache."""
    import numpy as np

    size = count * np.dtype(dtype).itemsize
    room = np.empty(size + _LINE, np.uint8)
    first = -room.ctypes.data % _LINE
    return room[first : first + size].view(dtype)


def are_denormals_kept() -> bool:
    """Return whether this thread has the least floats, which else count as 0.

    torch.set_flush_denormal drops them, and so do some libraries once they are loaded. Halves
    that are made wider by arithmetic are such floats meanwhile.
    """
    import numpy as np

    return bool(np.float32(1e-40) > 0)


class WiderBlocks:
    """A cast of block after block of one dtype into another one.

    >>> import numpy
    >>> halves = numpy.array([-1.5, 65504, 6e-8], "f2")
    >>> WiderBlocks(halves.dtype, numpy.dtype("f4")).of(halves)
    array([-1.5000000e+00,  6.5504000e+04,  5.9604645e-08], dtype=float32)
    """

    def __init__(self, narrow: Any, wide: Any) -> None:
        self.dtype = wide
        self._room: Any = None
        self._cast = None if narrow == wide and narrow.isnative else _cast(narrow, wide)

    def of(self, array: Any) -> Any:
        """Return the values of a flat array, which are lost once the next ones are asked for."""
        if self._cast is None:
            return array
        if self._room is None or len(self._room) < array.size:
            self._room = room_for(array.size, self.dtype)
        made = self._room[: array.size]
        self._cast(made, array)
        return made


def _cast(narrow: Any, wide: Any) -> Callable[[Any, Any], None]:
    """Return what copies an array of one dtype into one of the other."""
    import numpy as np

    are_halves = (narrow, wide) == (np.float16, np.float32) and narrow.isnative
    if not (are_halves and are_denormals_kept()):
        return lambda made, array: np.copyto(made, array, casting="unsafe")
    return _copy_halves


def _copy_halves(made: Any, array: Any) -> None:
    """Cast halves in a tenth of numpy's time where torch is loaded, or else in half of it."""
    import numpy as np

    torch = sys.modules.get("torch")
    if not array.flags.c_contiguous:
        np.copyto(made, array)
    elif torch is not None and array.flags.writeable:
        torch.from_numpy(made).copy_(torch.from_numpy(array))
    elif _are_finite(array):
        bits = made.view(np.int32)
        np.copyto(bits, array.view(np.int16))
        np.left_shift(bits, 13, out=bits)
        np.bitwise_and(bits, _KEPT, out=bits)
        np.multiply(made, _SCALE, out=made)
    else:
        np.copyto(made, array)


def _are_finite(halves: Any) -> bool:
    import numpy as np

    largest = halves.view(np.int16).max(initial=0), halves.view(np.uint16).max(initial=0)
    return bool(largest[0] < _NOT_FINITE and largest[1] < _NOT_FINITE + 0x8000)
