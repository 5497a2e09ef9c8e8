"""HQQ: numbers of 1, 2, 3, 4 or 8 bits with a scale and a zero point a group, which are floats.

The value is (number - zero point) * scale, in a table that has a group in each row (axis 1) or in
each column (axis 0). A byte, or a word for 3 bits, has the numbers of rows that are far apart. What
the table is lies next to the weight, in tensors of one number or of a text.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs

from caten_sd.blocks.packing_schemes import PackingScheme, Parts, along, are
from caten_sd.errors import StateDictError
from caten_sd.state.indexing import is_shape
from caten_sd.state.leaf import Numpy, as_array, dequantize, spec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from caten_sd.blocks.stated_quantization import Stated

NEEDED = {"W_q", "scale", "zero", "nbits", "axis", "shape", "packing", "group_size"}
# By the name of the packing: bits of a number, numbers of what is packed, and its bytes.
WIDTHS = {
    "8bit_u8": (8, 1, 1),
    "4bit_u8": (4, 2, 1),
    "3bit_32": (3, 10, 4),
    "2bit_u8": (2, 4, 1),
    "1bit_u8": (1, 8, 1),
}
MOST = 64  # elements of what is stated
MOST_ROWS = 1 << 40


@attrs.frozen(slots=False)
class Hqq(PackingScheme):
    """A weight that HQQ packed; ``first`` is the row of the floats that it begins with.

    ``height`` is the number of rows of the table, ``width`` that of its columns.
    """

    method = "hqq"

    packing: str
    height: int
    width: int
    axis: int
    first: int = 0

    @classmethod
    def of(cls, key: str, parts: Parts, stated: Stated) -> Self | None:
        """Return the scheme, which the tensors next to the weight describe."""
        numbers = [_number(parts, role) for role in ("quant_scale", "quant_zero")]
        if not parts.keys() >= NEEDED or any(numbers):  # the scales may be packed themselves
            return None
        shape, packing = _shape(parts["shape"]), _text(parts["packing"])
        axis, bits = _number(parts, "axis"), _number(parts, "nbits")
        group = round(_number(parts, "group_size"))
        if not shape or packing not in WIDTHS or axis not in (0, 1) or not 1 <= group <= MOST_ROWS:
            raise _misfit(key, parts)
        count = math.prod(shape)
        if not _number(parts, "channel_wise", 1):
            height, width = shape[0], math.prod(shape[1:])
        else:
            height, width = (count // group, group) if axis else (group, count // group)
        words = "one scale" if math.prod(spec(parts["scale"]).shape) == 1 else f"groups of {group}"
        found = cls(shape, _bits(packing, bits), words, 1, packing, height, width, round(axis))
        if not found.bits or height * width != count or not found._fits(parts):
            raise _misfit(key, parts)
        return found

    @property
    def packed_rows(self) -> int:
        """The rows of what is packed: the numbers of a byte are this far apart."""
        return -(-self.height // WIDTHS[self.packing][1])

    @property
    def times_read(self) -> int:
        """How many numbers a byte has; where a group is a column, rows of it lie together."""
        return WIDTHS[self.packing][1] * (1 if self.axis else 3)

    def rows_of_table(self) -> tuple[int, int]:
        """Return the rows of the table that the values lie in."""
        row = math.prod(self.shape[1:])
        start, stop = self.first * row, (self.first + self.shape[0]) * row
        return start // max(self.width, 1), -(-stop // max(self.width, 1))

    def rows_of_packed(self) -> tuple[int, int]:
        """Return the rows of what is packed that those of the table lie in."""
        start, stop = self.rows_of_table()
        first, last = start % self.packed_rows, (stop - 1) % self.packed_rows
        whole = stop - start >= self.packed_rows or last < first
        return (0, self.packed_rows) if whole else (first, last + 1)

    def of_rows(self, start: int, stop: int) -> Self:
        """Return the scheme of some rows."""
        return attrs.evolve(self, shape=(stop - start, *self.shape[1:]), first=self.first + start)

    def cut(self, parts: Parts, start: int, stop: int) -> dict[str, Any]:
        """Return what the rows are packed in, and the scales of the groups that they are in."""
        wanted, found = self.of_rows(start, stop), dict(parts)
        (first, end), before = wanted.rows_of_packed(), self.rows_of_packed()[0]
        found["W_q"] = along(parts["W_q"], 0, first - before, end - before)
        (first, end), before = wanted.rows_of_table(), self.rows_of_table()[0]
        for role in ("scale", "zero") if self.axis else ():
            if spec(parts[role]).shape[:1] not in ((), (1,)):
                found[role] = along(parts[role], 0, first - before, end - before)
        return found

    def _fits(self, parts: Parts) -> bool:
        """Return whether the tensors have the sizes that the table needs."""
        packed, size = spec(parts["W_q"]), WIDTHS[self.packing][2]
        if packed.shape[:1] != (self.packed_rows,) or len(packed.shape) != 2:
            return False
        if self.height % WIDTHS[self.packing][1] and self.packing != "3bit_32":
            return False
        scales = (self.height, 1) if self.axis else (1, self.width)
        return (
            packed.shape[1] * packed.dtype.bits == self.width * size * 8
            and are("float", parts["scale"], parts["zero"])
            and all(
                spec(parts[role]).shape == scales or math.prod(spec(parts[role]).shape) == 1
                for role in ("scale", "zero")
            )
        )


def _misfit(key: str, parts: Parts) -> StateDictError:
    """Return the error that the tensors are not those of what is stated next to them."""
    tensors = ", ".join(
        f"{role} {spec(parts[role]).dtype.name} {list(spec(parts[role]).shape)}"
        for role in ("W_q", "scale", "zero")
    )
    stated = ", ".join(
        f"{role} {_stated(parts[role])}" for role in ("shape", "group_size", "axis", "nbits")
    )
    packing = _text(parts["packing"])
    return StateDictError(
        f"{key} and its scales ({tensors}) do not fit what is stated next to them ({stated}, "
        f"packing {packing!r}); get the file again"
    )


def _bits(packing: str, bits: float) -> int:
    """Return the bits of a number, of which 5 and 6 lie in bytes; 0 if they are not packed so."""
    width, found = WIDTHS[packing][0], round(bits)
    return found if found == width or (width == 8 and 1 <= found <= 8) else 0


def _stated(leaf: Any) -> list[Any]:
    """Return the numbers that a small tensor holds; none of another."""
    if math.prod(spec(leaf).shape) > MOST or spec(leaf).dtype.kind not in ("int", "uint", "float"):
        return []
    found: list[Any] = as_array(Numpy(), leaf).reshape(-1).tolist()
    return found


def _number(parts: Parts, role: str, default: float = 0) -> float:
    """Return the number that a tensor holds."""
    found = _stated(parts[role]) if role in parts else [default]
    return found[0] if len(found) == 1 and math.isfinite(found[0]) else -1


def _text(leaf: Any) -> str:
    return "".join(chr(each) for each in _stated(leaf) if type(each) is int and 0 < each < 128)


def _shape(leaf: Any) -> tuple[int, ...]:
    found = _stated(leaf)
    return tuple(found) if is_shape(found) else ()


@dequantize.register(Hqq)
def _values(scheme: Hqq, parts: Parts, /) -> NDArray[Any]:
    import numpy as np

    start, stop = scheme.rows_of_table()
    values = _numbers(scheme, np.asarray(parts["W_q"]), start, stop).astype(np.float32)
    for role, combine in (("zero", np.subtract), ("scale", np.multiply)):
        each = np.asarray(parts[role]).astype(np.float32)
        combine(values, each.reshape(-1)[0] if each.size == 1 else each, out=values)
    row = math.prod(scheme.shape[1:])
    first = scheme.first * row - start * scheme.width
    return values.reshape(-1)[first : first + scheme.shape[0] * row].reshape(scheme.shape)


def _numbers(scheme: Hqq, packed: NDArray[Any], start: int, stop: int) -> NDArray[Any]:
    """Return the numbers of rows of the table."""
    import numpy as np

    bits, count, size = WIDTHS[scheme.packing]
    words = np.ascontiguousarray(packed).view(np.uint8 if size == 1 else "<u4")
    found = np.empty((stop - start, scheme.width), np.uint8)
    height, origin = scheme.packed_rows, scheme.rows_of_packed()[0]
    for place in range(count):
        first, end = max(start, place * height), min(stop, (place + 1) * height)
        if first < end:
            at = first - place * height - origin
            rows = words[at : at + end - first] >> (bits * (count - 1 - place))
            found[first - start : end - start] = rows & ((1 << bits) - 1)
    return found
