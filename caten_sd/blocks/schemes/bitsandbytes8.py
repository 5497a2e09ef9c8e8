"""LLM.int8() of bitsandbytes: signed bytes, and for each row the largest value, which is 127.

The value is number * SCB / 127, as in ``bitsandbytes.functional.int8_vectorwise_dequant``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from caten_sd.blocks.packing_schemes import PackingScheme, Parts, along, are
from caten_sd.errors import StateDictError
from caten_sd.state.leaf import Numpy, as_array, dequantize, spec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from caten_sd.blocks.stated_quantization import Stated

FORMAT = "_format"  # of weight_format, which is 0 for rows one after the other
STEP = 7.874015718698502e-3  # 1 / 127, rounded as bitsandbytes has it


@attrs.frozen(slots=False)
class Bitsandbytes8(PackingScheme):
    """A weight that bitsandbytes packed in 8 bits."""

    method = "bitsandbytes"

    @classmethod
    def of(cls, key: str, parts: Parts, stated: Stated) -> Self | None:
        """Return the scheme; only rows that lie one after the other are known."""
        if parts.keys() - {FORMAT} != {"", "SCB"}:
            return None
        weight, scales = spec(parts[""]), spec(parts["SCB"])
        if (
            weight.dtype.name != "int8"
            or not are("float", parts["SCB"])
            or scales.shape != weight.shape[:1]
        ):
            return None
        if FORMAT in parts and are("int", parts[FORMAT]) and 0 not in spec(parts[FORMAT]).shape:
            number = int(as_array(Numpy(), parts[FORMAT]).reshape(-1)[0])
            if number:
                raise StateDictError(
                    f"{key} is tiled for a GPU, as its weight_format is {number} and not 0; save "
                    f"it again with bitsandbytes, which writes rows"
                )
        return cls(weight.shape, 8, "a scale for each row", 1)

    def cut(self, parts: Parts, start: int, stop: int) -> dict[str, Any]:
        """Return the rows and their scales."""
        return {role: along(parts[role], 0, start, stop) for role in ("", "SCB")}


@dequantize.register(Bitsandbytes8)
def _values(scheme: Bitsandbytes8, parts: Parts, /) -> NDArray[Any]:
    import numpy as np

    values = np.asarray(parts[""]).astype(np.float32)
    scales = np.asarray(parts["SCB"]).astype(np.float32)
    values *= scales.reshape(-1, *(1,) * (values.ndim - 1))
    values *= np.float32(STEP)
    return values
