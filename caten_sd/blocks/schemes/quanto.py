"""optimum-quanto: integers or floats of 8 bits, with one scale or one for each index of an axis.

Its weights of 2 and 4 bits do not tell their shape, which only the layer has.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs

from caten_sd.blocks.packing_schemes import PackingScheme, Parts, along, are, misfit
from caten_sd.state.leaf import dequantize, spec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from caten_sd.blocks.stated_quantization import Stated

DATA, SCALE = "._data", "._scale"
OF_INPUTS = {"input_scale", "output_scale"}


@attrs.frozen(slots=False)
class Quanto(PackingScheme):
    """A weight of 8 bits that optimum-quanto packed."""

    method = "quanto"

    @classmethod
    def of(cls, key: str, parts: Parts, stated: Stated) -> Self | None:
        """Return the scheme; the axis of the scales is the one that they have an index for."""
        if parts.keys() - OF_INPUTS != {DATA, SCALE}:
            return None
        weight, scales = spec(parts[DATA]), spec(parts[SCALE]).shape
        is_number = weight.dtype.name == "int8" or are("float", parts[DATA], bits=8)
        if not is_number or not are("float", parts[SCALE]):
            return None
        one = math.prod(scales) == 1
        if not one and (
            len(scales) != len(weight.shape)
            or any(
                count not in (1, length) for count, length in zip(scales, weight.shape, strict=True)
            )
        ):
            raise misfit(key, parts)
        rows = not one and scales[0] == weight.shape[0]
        words = "one scale" if one else f"a scale for each {'row' if rows else 'column'}"
        return cls(weight.shape, 8, words, 1)

    def cut(self, parts: Parts, start: int, stop: int) -> dict[str, Any]:
        """Return the rows, and their scales where they have own ones."""
        scales = parts[SCALE]
        if spec(scales).shape[:1] not in ((), (1,)):
            scales = along(scales, 0, start, stop)
        return {DATA: along(parts[DATA], 0, start, stop), SCALE: scales}


@dequantize.register(Quanto)
def _values(scheme: Quanto, parts: Parts, /) -> NDArray[Any]:
    import numpy as np

    values = np.asarray(parts[DATA]).astype(np.float32)
    scales = np.asarray(parts[SCALE]).astype(np.float32)
    values *= scales.reshape(-1)[0] if scales.size == 1 else scales
    return values
