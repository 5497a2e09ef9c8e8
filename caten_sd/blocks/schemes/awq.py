"""AWQ: numbers of 4 bits along the outputs, eight in a word, with scale and zero point a group.

The value is scale * (number - zero point), and a word has its outputs in the order 0, 2, 4, 6, 1,
3, 5, 7 from the lowest bits on, as the "gemm" version of AutoAWQ packs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from caten_sd.blocks.bit_streams import numbers_in
from caten_sd.blocks.packing_schemes import PackingScheme, Parts, along, are
from caten_sd.errors import StateDictError
from caten_sd.state.leaf import dequantize, spec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from caten_sd.blocks.stated_quantization import Stated

BITS, IN_WORD = 4, 8
ORDER = (0, 4, 1, 5, 2, 6, 3, 7)  # where the outputs 0 to 7 are in a word


@attrs.frozen(slots=False)
class Awq(PackingScheme):
    """A weight that was packed by AWQ."""

    method = "awq"

    @classmethod
    def of(cls, key: str, parts: Parts, stated: Stated) -> Self | None:
        """Return the scheme, which differs from GPTQ's by its shapes."""
        if parts.keys() != {"qweight", "qzeros", "scales"}:
            return None
        shapes = [spec(parts[role]).shape for role in ("qweight", "qzeros", "scales")]
        if not are("int", parts["qweight"], parts["qzeros"], bits=32):
            return None
        if any(len(shape) != 2 for shape in shapes) or not are("float", parts["scales"]):
            return None
        (inputs, words), (groups, width), (count, outputs) = shapes
        if not (words == width and count == groups and outputs == words * IN_WORD and groups):
            return None
        if inputs % groups:
            return None
        version = stated.text("version", "format")
        if version not in ("", "gemm"):
            raise StateDictError(
                f"{key} is packed by AWQ's version {version!r}, whose order is not known; "
                f"convert it with the tool that packed it to version 'gemm'"
            )
        stated.refuse_other("bits", BITS, key)
        group = inputs // groups
        if groups > 1 or (stated.number("group_size") or 0) > 0:
            stated.refuse_other("group_size", group, key)
        return cls((outputs, inputs), BITS, f"groups of {group}", IN_WORD)

    def cut(self, parts: Parts, start: int, stop: int) -> dict[str, Any]:
        """Return the columns that these rows of the float weight are."""
        return {
            "qweight": along(parts["qweight"], 1, start // IN_WORD, stop // IN_WORD),
            "qzeros": along(parts["qzeros"], 1, start // IN_WORD, stop // IN_WORD),
            "scales": along(parts["scales"], 1, start, stop),
        }


@dequantize.register(Awq)
def _values(scheme: Awq, parts: Parts, /) -> NDArray[Any]:
    import numpy as np

    scales = np.asarray(parts["scales"]).astype(np.float32)
    numbers, zeros = (_in_order(parts[role]) for role in ("qweight", "qzeros"))
    groups, outputs = scales.shape
    table = numbers.reshape(groups, -1, outputs).astype(np.float32)
    table -= zeros[:, None]
    table *= scales[:, None]
    return np.ascontiguousarray(table.reshape(-1, outputs).T)


def _in_order(words: Any) -> NDArray[Any]:
    """Return the numbers of rows of words, in the order of the outputs."""
    rows, count = words.shape
    numbers = numbers_in(words, BITS, count * IN_WORD).reshape(rows, count, IN_WORD)
    return numbers[:, :, ORDER].reshape(rows, -1)
