"""MLX's modes of small floats: mxfp4, nvfp4 and mxfp8, with a byte of a scale for each group.

The values are those of ``mlx.core.dequantize``. The shapes tell the modes apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from caten_sd.blocks.packing_schemes import PackingScheme, Parts, along
from caten_sd.blocks.small_floats import e2m1, e8m0, times_groups
from caten_sd.errors import StateDictError
from caten_sd.state.leaf import dequantize, spec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from caten_sd.blocks.stated_quantization import Stated


class FloatMode(NamedTuple):
    """A mode, the bits of its numbers and how many have a scale in common."""

    name: str
    bits: int
    group: int


_MODES = {  # by the words of 32 bits that there are for each scale
    group * bits // 32: FloatMode(name, bits, group)
    for name, bits, group in (("mxfp4", 4, 32), ("nvfp4", 4, 16), ("mxfp8", 8, 32))
}


@attrs.frozen(slots=False)
class MlxFloats(PackingScheme):
    """A weight that MLX packed as small floats."""

    method = "mlx"

    mode: FloatMode

    @classmethod
    def of(cls, key: str, parts: Parts, stated: Stated) -> Self | None:
        """Return the scheme; StateDictError if config.json states another mode."""
        if parts.keys() != {"", "scales"}:
            return None
        weight, scales = spec(parts[""]), spec(parts["scales"])
        if (weight.dtype.name, scales.dtype.name) != ("uint32", "uint8"):
            return None
        if len(weight.shape) < 2 or scales.shape[:-1] != weight.shape[:-1] or not scales.shape[-1]:
            return None
        words, rest = divmod(weight.shape[-1], scales.shape[-1])
        mode = None if rest else _MODES.get(words)
        if mode is None:
            return None
        if stated.text("mode") not in ("", mode.name):
            raise StateDictError(
                f"{key} is in MLX's mode {mode.name} by its shapes, and config.json states the "
                f"mode {stated.text('mode')!r}; get the config.json of this checkpoint"
            )
        shape = (*weight.shape[:-1], scales.shape[-1] * mode.group)
        return cls(shape, mode.bits, f"groups of {mode.group} in {mode.name}", 1, mode)

    def cut(self, parts: Parts, start: int, stop: int) -> dict[str, Any]:
        """Return the rows of both tensors."""
        return {role: along(leaf, 0, start, stop) for role, leaf in parts.items()}


@dequantize.register(MlxFloats)
def _values(scheme: MlxFloats, parts: Parts, /) -> NDArray[Any]:
    import ml_dtypes
    import numpy as np

    raw = np.ascontiguousarray(parts[""]).view(np.uint8)
    scales = np.ascontiguousarray(parts["scales"])
    numbers = e2m1(raw) if scheme.bits == 4 else _e4m3(raw)
    if scheme.mode.name == "nvfp4":
        return times_groups(numbers, scales.view(ml_dtypes.float8_e4m3fn).astype(np.float32))
    return times_groups(numbers, e8m0(scales))


def _e4m3(raw: NDArray[Any]) -> NDArray[Any]:
    import ml_dtypes
    import numpy as np

    found: NDArray[Any] = raw.view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    return found
