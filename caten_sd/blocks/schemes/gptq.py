"""GPTQ: numbers of 2, 3, 4 or 8 bits down the columns, with a scale and a zero point a group.

The value is scale * (number - zero point), as in AutoGPTQ's QuantLinear. Its files hold a zero
point less one, and those of "gptq_v2" the zero point itself. The zero points of a group lie in
words along the outputs. ``g_idx`` has the group of each input.
"""

from __future__ import annotations

import math
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

BITS_OF_WORD = 32


@attrs.frozen(slots=False)
class Gptq(PackingScheme):
    """A weight that was packed by GPTQ."""

    method = "gptq"

    group: int
    less_one: bool

    @classmethod
    def of(cls, key: str, parts: Parts, stated: Stated) -> Self | None:
        """Return the scheme; bits are told by the number of words for each row and column."""
        if parts.keys() - {"g_idx"} != {"qweight", "qzeros", "scales"}:
            return None
        if not are("int", parts["qweight"], parts["qzeros"], bits=32):
            return None
        if not are("float", parts["scales"]) or not are("int", parts.get("g_idx", parts["qzeros"])):
            return None
        shapes = {role: spec(leaf).shape for role, leaf in parts.items()}
        if any(len(shapes[role]) != 2 for role in ("qweight", "qzeros", "scales")):
            return None
        (words, outputs), (groups, width) = shapes["qweight"], shapes["qzeros"]
        if shapes["scales"] != (groups, outputs) or not words * outputs * groups:
            return None
        size = BITS_OF_WORD
        fitting = [bits for bits in (2, 3, 4, 8) if -(-outputs * bits // size) == width]
        if "g_idx" in shapes:
            inputs = math.prod(shapes["g_idx"])
            fitting = [bits for bits in fitting if -(-inputs * bits // size) == words]
        bits = stated.number("bits")
        if len(fitting) != 1 and bits not in fitting:
            return None
        bits = bits if bits in fitting else fitting[0]
        stated.refuse_other("bits", bits, key)
        inputs = inputs if "g_idx" in shapes else words * size // bits
        group = _group(inputs, groups, stated, key)
        return cls(
            (outputs, inputs),
            bits,
            f"groups of {group}",
            size // math.gcd(size, bits),
            group,
            stated.text("checkpoint_format", "format") != "gptq_v2",
        )

    def cut(self, parts: Parts, start: int, stop: int) -> dict[str, Any]:
        """Return the columns that these rows of the float weight are."""
        first = start * self.bits // BITS_OF_WORD
        end = -(-stop * self.bits // BITS_OF_WORD)
        return {
            **parts,
            "qweight": along(parts["qweight"], 1, start, stop),
            "scales": along(parts["scales"], 1, start, stop),
            "qzeros": along(parts["qzeros"], 1, first, end),
        }


def _group(inputs: int, groups: int, stated: Stated, key: str) -> int:
    """Return the size of a group; the last one may be smaller."""
    size = stated.number("group_size") or 0
    if size > 0 and -(-inputs // size) == groups:
        return size
    group = -(-inputs // groups)
    if size > 0 or groups > 1:
        stated.refuse_other("group_size", group, key)
    return group


@dequantize.register(Gptq)
def _values(scheme: Gptq, parts: Parts, /) -> NDArray[Any]:
    import numpy as np

    scales = np.asarray(parts["scales"]).astype(np.float32).T
    outputs, inputs = scales.shape[0], scheme.shape[1]
    numbers = numbers_in(np.asarray(parts["qweight"]).T, scheme.bits, inputs)
    zeros = numbers_in(parts["qzeros"], scheme.bits, outputs).T
    if scheme.less_one:
        zeros = zeros + np.uint8(1) & np.uint8((1 << scheme.bits) - 1)
    if "g_idx" in parts:
        groups = np.asarray(parts["g_idx"]).reshape(-1)
    else:
        groups = np.arange(inputs) // scheme.group
    if groups.size and not 0 <= groups.min() <= groups.max() < scales.shape[1]:
        raise StateDictError(
            f"g_idx of a weight {list(scheme.shape)} has groups {groups.min()} to {groups.max()}, "
            f"and its scales have {scales.shape[1]}; get the file again"
        )
    differences = numbers.astype(np.float32)
    differences -= zeros[:, groups]
    differences *= scales[:, groups]
    return differences
