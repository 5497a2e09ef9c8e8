"""Block types: quantizations in which a block of a few bytes holds a fixed number of values.

A family of types is one file in ``families/``, with a subclass of BlockType for each type, a method
of ``dequantize`` if it can be unpacked, and ``pack`` if it can be written.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from caten_sd.errors import CatenError
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import dequantize
from caten_sd.state.scratch import keep_scratch
from caten_sd.wording import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

FAMILIES_PACKAGE = "caten_sd.blocks.families"

PIECE = 1 << 19  # values; enough to make the overhead of numpy's calls small


class BlockType:
    """A quantization as a value to dispatch on: ``size`` bytes hold ``elements`` values.

    ``gguf`` is its number in a GGUF file. ``halves`` are the offsets of its 16-bit floats, the only
    bytes that differ in a big-endian file; None if no tool defines a big-endian form.

    >>> block_type("Q8_0").dtype.nbytes(64)
    68
    """

    name: ClassVar[str]
    elements: ClassVar[int]
    size: ClassVar[int]
    gguf: ClassVar[int]
    halves: ClassVar[tuple[int, ...] | None] = None

    @property
    def dtype(self) -> DType:
        """The type as a DType of kind "block", with its exact size."""
        return DType(self.name, "block", 8 * self.size, self.elements)

    def pack(self, values: Array, blocks: Array, /) -> None:
        """Quantize float32 ``values`` (n, elements) into uint8 ``blocks`` (n, size)."""
        names = ", ".join(kind.name for kind in packable())
        raise CatenError(f"no tensor can be quantized to {self.name}; choose one of {names}")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


@functools.cache
def block_types() -> Mapping[str, BlockType]:
    """Return every block type of ``families/`` by name, in the order of their numbers in GGUF."""
    folder = importlib.import_module(FAMILIES_PACKAGE).__path__
    for family in sorted(module.name for module in pkgutil.iter_modules(folder)):
        importlib.import_module(f"{FAMILIES_PACKAGE}.{family}")
    known = [
        cls() for cls in BlockType.__subclasses__() if cls.__module__.startswith(FAMILIES_PACKAGE)
    ]
    return {each.name: each for each in sorted(known, key=lambda each: each.gguf)}


def block_type(name: str) -> BlockType:
    """Return the block type of this name, in any case; CatenError lists the existing ones.

    >>> block_type("q4_k").elements
    256
    """
    try:
        return block_types()[name.lower()]
    except KeyError:
        raise CatenError(
            f"no block type is called {name!r}; choose one of {', '.join(block_types())}"
        ) from None


def packable() -> list[BlockType]:
    """Return the block types that values can be quantized to."""
    return [kind for kind in block_types().values() if type(kind).pack is not BlockType.pack]


def quantize(block_type: BlockType, array: Any) -> Array:
    """Return uint8 blocks (..., n / elements * size) for values (..., n) of any real dtype.

    CatenError if a row does not divide into blocks or the type cannot be written.
    """
    import numpy as np

    values = np.asarray(array)
    if not values.ndim or values.shape[-1] % block_type.elements:
        count = counted(values.shape[-1], "value") if values.ndim else "no values"
        raise CatenError(
            f"rows of {count} do not divide into {block_type.name} blocks of "
            f"{block_type.elements}; keep this tensor in a float dtype"
        )
    size = values.shape[-1] // block_type.elements * block_type.size
    raw = np.empty((*values.shape[:-1], size), np.uint8)
    rows = values.reshape(-1, block_type.elements)
    _by_pieces(_pack_float32(block_type), rows, raw.reshape(-1, block_type.size), rows.shape)
    return raw


def _pack_float32(block_type: BlockType) -> Callable[[Array, Array], None]:
    def pack(values: Array, blocks: Array) -> None:
        block_type.pack(values.astype("f4", copy=False), blocks)

    return pack


def in_blocks(unpack: Callable[[Array, Array], None]) -> Callable[[BlockType, Any], Array]:
    """Return a method of ``dequantize`` for a function that unpacks a piece.

    The function fills float32 (n, elements) from uint8 (n, size) and is called with pieces of
    bounded size. All pieces are done on one thread: numpy releases the interpreter lock for too
    short a time for a second thread to help.
    """

    @functools.wraps(unpack)
    def dequantize_rows(block_type: BlockType, raw: Any, /) -> Array:
        import numpy as np

        rows = np.asarray(raw)
        if rows.dtype.itemsize != 1 or not rows.ndim or rows.shape[-1] % block_type.size:
            raise CatenError(
                f"{rows.dtype} {list(rows.shape)} is not an array of {block_type.name} blocks; "
                f"give uint8 rows of a multiple of {block_type.size} bytes"
            )
        count = rows.shape[-1] // block_type.size * block_type.elements
        values = np.empty((*rows.shape[:-1], count), np.float32)
        table = values.reshape(-1, block_type.elements)
        blocks = rows.view(np.uint8).reshape(-1, block_type.size)
        _by_pieces(unpack, np.ascontiguousarray(blocks), table, table.shape)
        return values

    return dequantize_rows


@dequantize.register(BlockType)
def _packed_only(block_type: BlockType, raw: Any, /) -> Array:
    raise CatenError(
        f"{block_type.name} blocks can be copied packed from file to file, but not unpacked; "
        f"add a method with @dequantize.register({type(block_type).__name__})"
    )


def _by_pieces(
    fill: Callable[[Array, Array], None], source: Array, target: Array, shape: tuple[int, ...]
) -> None:
    """Call ``fill`` on slices of both arrays, PIECE values at a time."""
    import numpy as np

    rows, elements = shape
    step = PIECE // elements

    keep_scratch()
    with np.errstate(all="ignore"):  # a NaN or infinite scale is what the file holds
        for start in range(0, rows, step):
            fill(source[start : start + step], target[start : start + step])
