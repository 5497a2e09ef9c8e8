"""Memory that is used for one piece of an array after the other."""

from __future__ import annotations

import functools

_MOST = 1 << 23  # bytes of one piece


@functools.cache
def keep_scratch() -> None:
    """Make the C library keep the freed memory of a piece for the next piece.

    glibc returns it to the system, which clears and maps it again, until a larger block has been
    freed once. That can take ten times as long as the work itself.
    """
    import numpy as np

    np.empty(_MOST, np.uint8)
