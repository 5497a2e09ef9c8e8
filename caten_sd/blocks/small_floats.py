"""Floats of 4 bits, two in a byte, and the powers of two of the MX formats, which are bytes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


@functools.cache
def _pairs_e2m1() -> Array:
    """Return the two float32 numbers in each byte, the one in the low bits first."""
    import numpy as np

    numbers = np.array([*E2M1, *(-number for number in E2M1)], np.float32)
    byte = np.arange(256)
    return np.stack([numbers[byte & 15], numbers[byte >> 4]], axis=1)


def e2m1(raw: Any) -> Array:
    """Return the float32 numbers in bytes (..., n), as (..., 2 * n).

    >>> import numpy
    >>> e2m1(numpy.array([0x21, 0xF0], "u1")).tolist()
    [0.5, 1.0, 0.0, -6.0]
    """
    import numpy as np

    found: Array = _pairs_e2m1().view(np.uint64)[np.asarray(raw).view(np.uint8), 0]
    return np.ascontiguousarray(found).view(np.float32)


@functools.cache
def _powers() -> Array:
    """Return 2**(byte - 127) for every byte; that of byte 0 is subnormal."""
    import numpy as np

    bits = np.arange(256, dtype=np.uint32) << np.uint32(23)
    bits[0], bits[255] = 1 << 22, 0x7FC00000
    return bits.view(np.float32)


def e8m0(raw: Any) -> Array:
    """Return the power of two that each byte is; 255 is not a number.

    >>> import numpy
    >>> e8m0(numpy.array([126, 127, 255], "u1")).tolist()
    [0.5, 1.0, nan]
    """
    import numpy as np

    found: Array = _powers()[np.asarray(raw).view(np.uint8)]
    return found


def times_groups(values: Array, scales: Array) -> Array:
    """Return values (..., n), each times the scale of its group; there are scales (..., groups)."""
    groups = values.reshape(*scales.shape, -1)
    groups *= scales[..., None]
    return groups.reshape(values.shape)
