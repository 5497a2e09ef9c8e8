"""A box of the bytes of blocks, although only complete blocks can be computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from caten_sd.state.derived import derive
from caten_sd.state.steps import Box, Cut


def box_of_blocks(box: Box, size: int, make: Callable[[Box, int, int], Any]) -> Any:
    """Return a box of the bytes of blocks of this size.

    ``make`` returns the bytes of some rows, from one block of each to another.
    """
    *rows, last = box
    first, end = last.start // size, -(-last.stop // size)
    blocks = make(tuple(rows), first, end)
    return derive(Cut(len(rows), last.start - first * size, last.stop - first * size), [blocks])
