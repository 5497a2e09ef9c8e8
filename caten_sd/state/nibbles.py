"""4-bit elements: two in a byte in files and in torch (the first one low), one in numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def packed(array: Any) -> Any:
    """Return a flat ``uint8`` array of two elements in a byte, from one element in a byte.

    >>> import numpy
    >>> packed(numpy.array([1, 2, 3], numpy.uint8))
    array([33,  3], dtype=uint8)
    """
    import numpy as np

    nibbles = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    if nibbles.size % 2:
        nibbles = np.append(nibbles, np.uint8(0))
    return nibbles[0::2] & 15 | nibbles[1::2] << 4


def unpacked(raw: Any, shape: Sequence[int]) -> Any:
    """Return a ``uint8`` array of this shape with one element in a byte, from two in a byte.

    >>> unpacked(bytes([33, 3]), [3])
    array([1, 2, 3], dtype=uint8)
    """
    import numpy as np

    pairs = np.frombuffer(raw, np.uint8)
    nibbles = np.empty(2 * pairs.size, np.uint8)
    nibbles[0::2], nibbles[1::2] = pairs & 15, pairs >> 4
    return nibbles[: math.prod(shape)].reshape(shape)
