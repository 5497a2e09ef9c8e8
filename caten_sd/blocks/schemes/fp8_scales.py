"""Floats of 8 bits with scales: one for the tensor, one a row, or one for each rectangle.

The value is number * scale, also where the scale is called ``scale_inv``, as DeepSeek does. Its
squares of 128 may be cut off at the end of an axis. Scales of bytes are powers of two, as in MXFP8.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from caten_sd.blocks.packing_schemes import PackingScheme, Parts, along, are
from caten_sd.blocks.small_floats import e8m0
from caten_sd.errors import StateDictError
from caten_sd.state.leaf import dequantize, spec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from caten_sd.blocks.stated_quantization import Stated

SIDE = 128  # of DeepSeek's squares
SIDES = re.compile(r"[0-9]{1,9}(x[0-9]{1,9})*")
OF_WEIGHTS = {"_scale", "_scale_inv", "_scales", "scales", "SCB"}
OF_INPUTS = {"input_scale", "output_scale", "_input_scale", "_output_scale"}


@attrs.frozen(slots=False)
class Fp8Scales(PackingScheme):
    """A weight in floats of 8 bits; ``sides`` are those of what has one scale."""

    method = "fp8"
    tools: ClassVar[frozenset[str]] = frozenset(
        {"compressed-tensors", "modelopt", "fbgemm_fp8", "quark"}
    )

    role: str
    sides: tuple[int, ...]

    @classmethod
    def of(cls, key: str, parts: Parts, stated: Stated) -> Self | None:
        """Return the scheme; the sides are told by the number of scales along each axis."""
        roles = parts.keys() - OF_INPUTS - {""}
        if "" in parts and are("float", parts[""], bits=8):
            _refuse_several(key, [role for role in parts if role in OF_WEIGHTS])
        if "" not in parts or roles not in ({"_scale_inv"}, {"_scale"}):
            return None
        weight, (role,) = spec(parts[""]), roles
        exponents = spec(parts[role]).dtype.name == "uint8"  # of two, as in MXFP8
        if not are("float", parts[""], bits=8) or not (exponents or are("float", parts[role])):
            return None
        counts = _counts(weight.shape, spec(parts[role]).shape)
        if counts is None:
            return None
        blocks = [stated.entries.get("weight_block_size"), *stated.of_groups("block_structure")]
        wanted = next((known for each in blocks if (known := _numbers(each))), [])
        sides = _sides(weight.shape, counts, wanted)
        if sides is None:
            return None
        if blocks[0] is not None:
            _refuse_other(f"{key}{role}", spec(parts[role]).shape, weight.shape, counts, wanted)
        return cls(weight.shape, 8, _words(weight.shape, sides), sides[0], role, sides)

    def cut(self, parts: Parts, start: int, stop: int) -> dict[str, Any]:
        """Return the rows, and the scales of the rectangles that they are in."""
        scales, side = parts[self.role], self.sides[0]
        if spec(scales).shape[:1] not in ((), (1,)):
            scales = along(scales, 0, start // side, -(-stop // side))
        return {"": along(parts[""], 0, start, stop), self.role: scales}


def _counts(shape: tuple[int, ...], scales: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return how many scales there are along each axis of the weight.

    >>> [_counts((256, 512), scales) for scales in ((), (1,), (256,), (256, 1), (2, 4), (3, 3, 3))]
    [(1, 1), (1, 1), (256, 1), (256, 1), (2, 4), None]
    """
    if math.prod(scales) == 1:
        return (1,) * len(shape)
    if len(scales) > len(shape):
        return None
    return scales + (1,) * (len(shape) - len(scales))


def _refuse_several(key: str, roles: list[str]) -> None:
    """Refuse two tensors of scales for one weight, of which no reader says which one counts."""
    if len(roles) > 1:
        parent = key.removesuffix("weight")
        names = [key + role if role.startswith("_") else parent + role for role in roles]
        raise StateDictError(
            f"{key} has its scales twice, in {' and in '.join(names)}, and nothing says which are "
            f"meant; leave out those that the tool that packed it does not read"
        )


def _refuse_other(
    key: str,
    scales: tuple[int, ...],
    shape: tuple[int, ...],
    counts: tuple[int, ...],
    wanted: list[int],
) -> None:
    """Refuse scales that are not as many as the blocks that config.json states.

    One scale for a whole axis, or for each place of it, is taken: it means the same in any blocks.
    """
    ends = list(zip(shape, counts, strict=True))[-len(wanted) :] if wanted else []
    for (length, count), side in zip(ends, wanted[-len(ends) :], strict=True):
        if count not in (1, length) and (side < 1 or -(-length // side) != count):
            raise StateDictError(
                f"{key} is {list(scales)} for a weight of {list(shape)}, and weight_block_size of "
                f"the config.json is {wanted}; get the config.json of this checkpoint"
            )


def _sides(
    shape: tuple[int, ...], counts: tuple[int, ...], wanted: list[int]
) -> tuple[int, ...] | None:
    """Return the sides of what has one scale, or None if no number divides an axis so."""
    sides = []
    for axis, (length, count) in enumerate(zip(shape, counts, strict=True)):
        behind = axis - len(shape)
        known = [wanted[behind]] if -behind <= len(wanted) else []
        even = [length // count] if count and length % count == 0 else []
        whole = [length] if count == 1 else []
        sizes = [*whole, *known, *(even if count == length else []), SIDE, *even]
        fits = (size for size in sizes if size > 0 and -(-length // size) == count)
        if (side := next(fits, None)) is None:
            return None
        sides.append(side)
    return tuple(sides)


def _numbers(stated: Any) -> list[int]:
    """Return the sides that are stated, as a list or, by older compressed-tensors, as a text.

    >>> _numbers([64, 128]), _numbers("64x128"), _numbers("64x?"), _numbers([1.5]), _numbers(None)
    ([64, 128], [64, 128], [], [], [])
    """
    if isinstance(stated, str) and SIDES.fullmatch(stated):
        return [int(side) for side in stated.split("x")]
    is_list = isinstance(stated, list) and all(type(side) is int for side in stated)
    return [*stated] if is_list else []


def _words(shape: tuple[int, ...], sides: tuple[int, ...]) -> str:
    if sides == shape:
        return "one scale"
    if sides[0] == 1 and sides[1:] == shape[1:]:
        return "a scale for each row"
    if all(side == 1 for side in sides[:-1]):
        return f"groups of {sides[-1]}"
    return f"blocks of {'x'.join(map(str, sides[-2:]))}"


@dequantize.register(Fp8Scales)
def _values(scheme: Fp8Scales, parts: Parts, /) -> NDArray[Any]:
    import numpy as np

    values = np.asarray(parts[""]).astype(np.float32)
    scales = np.asarray(parts[scheme.role])
    scales = e8m0(scales) if scales.dtype == np.uint8 else scales.astype(np.float32)
    scales = scales.reshape(scales.shape[: values.ndim] + (1,) * (values.ndim - scales.ndim))
    if scales.size == 1:
        values *= scales.reshape(-1)[0]
        return values
    for axis, (side, count) in enumerate(zip(scheme.sides, values.shape, strict=True)):
        if scales.shape[axis] > 1 and side > 1:
            scales = scales.repeat(side, axis)[(slice(None),) * axis + (slice(count),)]
    values *= scales
    return values
