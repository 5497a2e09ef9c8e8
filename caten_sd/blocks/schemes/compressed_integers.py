"""Integers with scales of compressed-tensors: a byte each, or 1 to 8 bits along the inputs.

The value is scale * (number - zero point). Packed numbers are stored plus half of their range. The
zero points of "pack-quantized" lie in words along the outputs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs

from caten_sd.blocks.bit_streams import numbers_in
from caten_sd.blocks.packing_schemes import PackingScheme, Parts, along, are, misfit
from caten_sd.errors import StateDictError
from caten_sd.state.indexing import is_shape
from caten_sd.state.leaf import Numpy, as_array, dequantize, spec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from caten_sd.blocks.stated_quantization import Stated

Shape = tuple[int, ...]

PACKED, SHAPE, SCALE, ZERO, G_IDX = "_packed", "_shape", "_scale", "_zero_point", "_g_idx"
OF_INPUTS = {
    f"{side}_{name}"
    for side in ("input", "output")
    for name in ("scale", "zero_point", "global_scale")
}
WORD = 32  # bits
MOST_AXES = 8


@attrs.frozen(slots=False)
class CompressedIntegers(PackingScheme):
    """A weight in integers; ``role`` is that of the numbers, and ``counts`` those of the scales."""

    method = "compressed-tensors"

    role: str
    counts: tuple[int, int]  # of scales along the outputs and the inputs

    @classmethod
    def of(cls, key: str, parts: Parts, stated: Stated) -> Self | None:
        """Return the scheme; the bits are told by the shape that is stated next to the weight."""
        roles = parts.keys() - OF_INPUTS - {ZERO}
        packed = roles - {G_IDX} == {PACKED, SHAPE, SCALE}
        role = PACKED if packed else ""
        if not packed and roles != {"", SCALE}:
            return None
        if not are("int", parts[role], bits=WORD if packed else 8) or not are(
            "float", parts[SCALE]
        ):
            return None
        if not packed and spec(parts[""]).dtype.name != "int8":
            return None
        shape = _shape(key, parts) if packed else spec(parts[""]).shape
        bits = _bits(key, parts, shape, stated) if packed else 8
        counts = _counts(shape, spec(parts[SCALE]).shape)
        if (
            counts is None
            or not _zeros_fit(parts, shape, counts, bits)
            or not _groups_fit(parts, shape)
        ):
            raise misfit(key, parts)
        together = WORD // math.gcd(WORD, bits) if _are_packed(parts) and len(shape) == 2 else 1
        return cls(shape, bits, _words(shape, counts), together, role, counts)

    def cut(self, parts: Parts, start: int, stop: int) -> dict[str, Any]:
        """Return the rows, their scales and their zero points."""
        found = {**parts, self.role: along(parts[self.role], 0, start, stop)}
        for role in {SCALE, ZERO} & parts.keys():
            if math.prod(spec(parts[role]).shape) == 1:
                continue
            first, end = start, stop
            if role == ZERO and _are_packed(parts) and len(self.shape) == 2:
                first, end = start * self.bits // WORD, -(-stop * self.bits // WORD)
            found[role] = along(parts[role], 0, first, end)
        return found


def _shape(key: str, parts: Parts) -> Shape:
    """Return the shape of the floats, which a tensor next to the packed weight holds."""
    leaf, packed = parts[SHAPE], spec(parts[PACKED]).shape
    if not are("int", leaf) or spec(leaf).shape != (len(packed),) or len(packed) > MOST_AXES:
        raise misfit(key, parts)
    shape = as_array(Numpy(), leaf).tolist()
    if len(shape) < 2 or not is_shape(shape) or tuple(shape[:-1]) != packed[:-1]:
        raise StateDictError(
            f"{key} {list(packed)} does not have the rows of the shape {shape} that is stated "
            f"next to it; get the file again"
        )
    return tuple(shape)


def _bits(key: str, parts: Parts, shape: Shape, stated: Stated) -> int:
    """Return the bits that so many words have, or those of them that config.json states."""
    words, inputs = spec(parts[PACKED]).shape[-1], shape[-1]
    fitting = [bits for bits in range(1, 9) if -(-inputs * bits // WORD) == words]
    said = {number for number in stated.of_groups("num_bits") if type(number) is int}
    left = [bits for bits in fitting if bits in said] if said else fitting
    if len(left) == 1:
        return left[0]
    if not fitting:
        raise misfit(key, parts)
    may_be = " or ".join(map(str, fitting))
    states = " or ".join(map(str, sorted(said))) or "none"
    raise StateDictError(
        f"{key} has {may_be} bits by its shapes, and config.json states {states}; get the "
        f"config.json of this checkpoint"
    )


def _counts(shape: Shape, scales: Shape) -> tuple[int, int] | None:
    """Return how many scales there are along the outputs and the inputs; None if they do not fit.

    >>> [_counts((6, 8), scales) for scales in ((), (1,), (6,), (6, 1), (6, 2), (6, 3), (2, 1))]
    [(1, 1), (1, 1), (6, 1), (6, 1), (6, 2), None, None]
    """
    if math.prod(scales) == 1 or scales in ((), (1,)):
        return (1, 1)
    full = scales if len(scales) == len(shape) else (*scales, 1)
    if len(shape) < 2 or full[:-1] != shape[:-1] or not full[-1] or shape[-1] % full[-1]:
        return None
    return (full[-2], full[-1])


def _are_packed(parts: Parts) -> bool:
    """Return whether the zero points lie in words, as only those of packed weights do."""
    return {PACKED, ZERO} <= parts.keys() and spec(parts[ZERO]).dtype.bits == WORD


def _zeros_fit(parts: Parts, shape: Shape, counts: tuple[int, int], bits: int) -> bool:
    if ZERO not in parts:
        return True
    if not are("int", parts[ZERO]):
        return False
    zeros = spec(parts[ZERO]).shape
    if _are_packed(parts):
        words = -(-shape[-2] * bits // WORD)
        return zeros == (*shape[:-2], words, counts[1]) and counts[0] == shape[-2]
    return math.prod(zeros) == 1 or _counts(shape, zeros) == counts


def _groups_fit(parts: Parts, shape: Shape) -> bool:
    if G_IDX not in parts:
        return True
    return are("int", parts[G_IDX]) and spec(parts[G_IDX]).shape == shape[-1:]


def _words(shape: Shape, counts: tuple[int, int]) -> str:
    if counts == (1, 1):
        return "one scale"
    if counts[1] == 1:
        return "a scale for each row"
    return f"groups of {shape[-1] // counts[1]}"


@dequantize.register(CompressedIntegers)
def _values(scheme: CompressedIntegers, parts: Parts, /) -> NDArray[Any]:
    import numpy as np

    numbers, inputs = np.asarray(parts[scheme.role]), scheme.shape[-1]
    if scheme.role:
        numbers = numbers_in(numbers, scheme.bits, inputs)
    values = numbers.astype(np.float32)
    if scheme.role:
        values -= np.float32(1 << scheme.bits - 1)
    scales = _one_an_input(scheme, parts, np.asarray(parts[SCALE]).astype(np.float32))
    if ZERO in parts:
        values -= _one_an_input(scheme, parts, _zeros(scheme, parts, values.shape))
    values *= scales
    return values


def _zeros(scheme: CompressedIntegers, parts: Parts, shape: Shape) -> NDArray[Any]:
    """Return the zero points as float32, in the shape of the scales."""
    import numpy as np

    zeros = np.asarray(parts[ZERO])
    if not _are_packed(parts):
        return zeros.astype(np.float32)
    turned = numbers_in(zeros.swapaxes(-1, -2), scheme.bits, shape[-2]).swapaxes(-1, -2)
    return turned.astype(np.float32) - np.float32(1 << scheme.bits - 1)


def _one_an_input(scheme: CompressedIntegers, parts: Parts, each: NDArray[Any]) -> NDArray[Any]:
    """Return numbers that are one a group as one an input, or as what numpy makes that of."""
    import numpy as np

    if each.size == 1:
        return each.reshape((1,) * len(scheme.shape))
    if each.ndim < len(scheme.shape):
        each = each[..., None]
    if each.shape[-1] == 1:
        return each
    inputs = scheme.shape[-1]
    groups = np.arange(inputs) // (inputs // each.shape[-1])
    if G_IDX in parts:
        groups = np.asarray(parts[G_IDX])
        if groups.size and not 0 <= groups.min() <= groups.max() < each.shape[-1]:
            raise StateDictError(
                f"g_idx of a weight {list(scheme.shape)} has groups {groups.min()} to "
                f"{groups.max()}, and its scales have {each.shape[-1]}; get the file again"
            )
    return each[..., groups]
