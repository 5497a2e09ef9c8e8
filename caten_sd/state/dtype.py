"""Element types of tensors, under the names that numpy, ml_dtypes and torch share."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from caten_sd.errors import CatenError


class DType(NamedTuple):
    """An element type: ``bits`` of storage for every ``per`` elements.

    ``kind`` is float, int, uint, bool, complex, block (quantised data that has no single element),
    or other (what no tensor of a file is).
    """

    name: str
    kind: str
    bits: int
    per: int = 1

    @property
    def itemsize(self) -> int:
        """Bytes of one element; 0 where an element is less than a byte or part of a block."""
        return self.bits // 8 if self.per == 1 else 0

    def nbytes(self, count: int) -> int:
        """Bytes that ``count`` elements take, the last byte filled up."""
        return -(-count * self.bits // (8 * self.per))

    def __str__(self) -> str:
        return self.name


# The names are those of numpy and ml_dtypes, which torch shares.
DTYPES: dict[str, DType] = {
    dtype.name: dtype
    for dtype in (
        *(DType(f"float{bits}", "float", bits) for bits in (64, 32, 16)),
        DType("bfloat16", "float", 16),
        DType("float8_e4m3fn", "float", 8),
        DType("float8_e5m2", "float", 8),
        DType("float8_e4m3fnuz", "float", 8),
        DType("float8_e5m2fnuz", "float", 8),
        DType("float8_e8m0fnu", "float", 8),
        DType("float6_e2m3fn", "float", 6),
        DType("float6_e3m2fn", "float", 6),
        DType("float4_e2m1fn", "float", 4),
        *(DType(f"int{bits}", "int", bits) for bits in (64, 32, 16, 8)),
        *(DType(f"uint{bits}", "uint", bits) for bits in (64, 32, 16, 8)),
        DType("bool", "bool", 8),
        DType("complex64", "complex", 64),
        DType("complex128", "complex", 128),
    )
}


@functools.cache
def numpy_dtype(dtype: DType) -> Any:
    """Return numpy's dtype for ours; those that numpy lacks come from ml_dtypes."""
    import numpy as np

    # ml_dtypes gives a 6-bit float a byte of its own, so packed ones of a file are not its arrays.
    if dtype.kind in ("float", "int", "uint", "bool", "complex") and dtype.bits != 6:
        if hasattr(np, dtype.name):
            return np.dtype(dtype.name)
        import ml_dtypes

        if hasattr(ml_dtypes, dtype.name):
            return np.dtype(getattr(ml_dtypes, dtype.name))
    raise CatenError(f"numpy has no dtype for {dtype}; keep the leaf as it is, or copy its bytes")
