"""Element types of tensors, under the names that numpy, ml_dtypes and torch share."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from caten_sd.errors import CatenError


class DType(NamedTuple):
    """An element type: ``bits`` of storage for every ``per`` elements.

    ``kind`` is float, int, uint, bool, complex, block (quantized elements that share bytes), or
    other (a dtype that no file has).
    """

    name: str
    kind: str
    bits: int
    per: int = 1

    @property
    def itemsize(self) -> int:
        """The bytes of one element; 0 if it is smaller than a byte or in a block."""
        return self.bits // 8 if self.per == 1 else 0

    def nbytes(self, count: int) -> int:
        """Return the bytes that ``count`` elements take, rounded up."""
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


_SHORT = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16"}
DTYPE_NAMES = (*_SHORT, *DTYPES)


def dtype_called(value: Any) -> DType | None:
    """Return the dtype of a name, or that a dtype or scalar type of any package stands for.

    >>> import numpy
    >>> {dtype_called(each) for each in ("bf16", "bfloat16", "torch.bfloat16")}
    {DType(name='bfloat16', kind='float', bits=16, per=1)}
    >>> dtype_called(numpy.float32) == dtype_called(numpy.dtype("f4")) == DTYPES["float32"]
    True
    """
    if isinstance(value, str):
        name = value.removeprefix("torch.")
    else:
        own = getattr(value, "name", None) or getattr(value, "__name__", None)
        name = str(own or str(value).rpartition(".")[2])
    return DTYPES.get(_SHORT.get(name, name))


@functools.cache
def numpy_dtype(dtype: DType) -> Any:
    """Return numpy's dtype, or that of ml_dtypes for dtypes that numpy lacks."""
    import numpy as np

    # ml_dtypes stores a 6-bit float in a byte, and files pack them.
    if dtype.kind in ("float", "int", "uint", "bool", "complex") and dtype.bits != 6:
        if hasattr(np, dtype.name):
            return np.dtype(dtype.name)
        import ml_dtypes

        if hasattr(ml_dtypes, dtype.name):
            return np.dtype(getattr(ml_dtypes, dtype.name))
    raise CatenError(
        f"numpy has no dtype for {dtype}; keep the leaf as it is, or copy its bytes"
        f"{bfloat16_choice(dtype)}"
    )


def is_raw_pair(dtype: DType) -> bool:
    """Return whether elements are two raw bytes, as which MLX and Equinox write bfloat16."""
    return dtype.kind == "unknown" and dtype.bits == 16


RAW_BFLOAT16 = (
    "if MLX or Equinox wrote it, it is bfloat16, which convert(file, new_file, dtype='bf16') or "
    "caten-sd convert --dtype bf16 takes it for"
)


def bfloat16_choice(dtype: DType) -> str:
    """Return a further remedy for raw elements of 2 bytes, as which some libraries write bfloat16.

    >>> bfloat16_choice(DTYPES["float16"])
    ''
    """
    return f", or, {RAW_BFLOAT16}" if is_raw_pair(dtype) else ""
