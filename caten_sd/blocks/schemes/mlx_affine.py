"""MLX's affine mode: numbers of 2 to 8 bits along the inputs, with a scale and a bias a group.

The value is scale * number + bias, as in ``mlx.core.dequantize``. The shapes do not tell 4 bits in
groups of 64 from 8 bits in groups of 32; config.json does, for the model or for one layer.
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

BITS, GROUPS = (2, 3, 4, 5, 6, 8), (32, 64, 128)


@attrs.frozen(slots=False)
class MlxAffine(PackingScheme):
    """A weight that MLX packed."""

    method = "mlx"

    group: int

    @classmethod
    def of(cls, key: str, parts: Parts, stated: Stated) -> Self | None:
        """Return the scheme; StateDictError if neither shapes nor config.json tell the bits."""
        if parts.keys() != {"", "scales", "biases"}:
            return None
        weight, scales = spec(parts[""]), spec(parts["scales"]).shape
        if (
            weight.dtype.name != "uint32"
            or len(weight.shape) < 2
            or scales[:-1] != weight.shape[:-1]
        ):
            return None
        if spec(parts["biases"]).shape != scales or not scales[-1]:
            return None
        if not are("float", parts["scales"], parts["biases"]):
            return None
        fitting = [
            (bits, group)
            for bits in BITS
            for group in GROUPS
            if scales[-1] * group * bits == weight.shape[-1] * 32
        ]
        if not fitting:
            return None
        bits, group = _chosen(key, fitting, stated)
        shape = (*weight.shape[:-1], scales[-1] * group)
        return cls(shape, bits, f"groups of {group}", 1, group)

    def cut(self, parts: Parts, start: int, stop: int) -> dict[str, Any]:
        """Return the rows of each tensor."""
        return {role: along(leaf, 0, start, stop) for role, leaf in parts.items()}


def _chosen(key: str, fitting: list[tuple[int, int]], stated: Stated) -> tuple[int, int]:
    """Return the bits and the size of a group that are stated, or the only ones that fit."""
    bits, group = stated.number("bits"), stated.number("group_size")
    left = [each for each in fitting if bits in (None, each[0]) and group in (None, each[1])]
    if len(left) == 1:
        return left[0]
    may_be = " or ".join(f"{bits} bits in groups of {group}" for bits, group in fitting)
    if not left:
        raise StateDictError(
            f"{key} has {may_be} by its shapes, and config.json states {bits} bits in groups of "
            f"{group}; get the config.json of this checkpoint"
        )
    raise StateDictError(
        f"the shapes of {key} and its scales fit {may_be}, and no config.json "
        f"next to it states which; put its own config.json there"
    )


@dequantize.register(MlxAffine)
def _values(scheme: MlxAffine, parts: Parts, /) -> NDArray[Any]:
    import numpy as np

    scales, biases = (np.asarray(parts[role]).astype(np.float32) for role in ("scales", "biases"))
    numbers = numbers_in(parts[""], scheme.bits, scheme.shape[-1])
    values = numbers.reshape(*scales.shape, scheme.group).astype(np.float32)
    values *= scales[..., None]
    values += biases[..., None]
    return values.reshape(*scales.shape[:-1], -1)
