"""State dicts that the clauses write: small ones, odd ones, and leaves that fail."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from caten_sd.state.dtype import DTYPES, numpy_dtype
from caten_sd.state.leaf import LazyLeaf, Numpy, as_array

SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (3, 0), (1,), (1, 1, 1), (7, 5))


def small_model(rows: int = 8) -> dict[str, Any]:
    """Return keys that nesting would not reorder, in no alphabetical order."""
    shapes = {"wte.weight": (rows, 6), "h.0.mlp.w": (6, 4), "h.0.mlp.b": (4,), "a.weight": (2, 3)}
    return {
        key: np.arange(np.prod(shape), dtype="f4").reshape(shape) + number
        for number, (key, shape) in enumerate(shapes.items())
    }


def every_dtype() -> dict[str, Any]:
    """Return an array of random bits for every dtype that numpy and ml_dtypes have."""
    return {name: _bits(name) for name, dtype in DTYPES.items() if dtype.bits != 6}


def _bits(name: str) -> Any:
    dtype = DTYPES[name]
    bits = np.random.default_rng(0).integers(0, 256, 6 * max(dtype.itemsize, 1), np.uint8)
    bits = bits % 2 if name == "bool" else bits & 15 if dtype.bits == 4 else bits
    return bits.view(numpy_dtype(dtype)).reshape(2, 3)


def memory_orders() -> dict[str, Any]:
    """Return arrays whose elements do not lie one after another, by what they are called."""
    matrix = np.arange(24, dtype="f4").reshape(4, 6)
    return {
        "transposed": matrix.T,
        "in Fortran's order": np.asfortranarray(matrix.reshape(2, 3, 4)),
        "strided": matrix[::2, 1::2],
        "reversed": np.arange(6, dtype="f4")[::-1],
        "broadcast": np.broadcast_to(np.arange(3, dtype="f4"), (4, 3)),
        "big-endian": np.arange(6, dtype=">f4").reshape(2, 3),
        "a transposed bfloat16": np.arange(24).astype(ml_dtypes.bfloat16).reshape(4, 6).T,
    }


class UnreadableLeaf(LazyLeaf):
    """A leaf whose bytes raise an error when a writer asks for them."""

    __slots__ = ("error", "shape")
    dtype = DTYPES["float32"]

    def __init__(self, shape: tuple[int, ...], error: BaseException) -> None:
        self.shape, self.error = shape, error


@as_array.register(Numpy, UnreadableLeaf)
def _unreadable(kind: Numpy, leaf: UnreadableLeaf, /) -> Any:
    raise leaf.error


KEYS = (
    *("", " ", ".", "..", "a.", ".a", "a..b", "0", "a/b", "../up", "a\\b", "a:b", "%2F", "é", "重"),
    *("a\nb", "\0", "\x1b[2J", "x" * 300, "__metadata__", "\ud800", "CON", "~", "-rf", "a b'\""),
)
