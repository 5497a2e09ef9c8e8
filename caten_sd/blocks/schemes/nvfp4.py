"""NVFP4: floats of 4 bits, two in a byte, an e4m3 scale for each 16, and one scale for the tensor.

The value is number * scale * weight_scale_2 as ModelOpt has it. compressed-tensors has a divisor,
weight_global_scale, instead. Experts in one tensor may have one of those each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from caten_sd.blocks.packing_schemes import PackingScheme, Parts, along, are, misfit
from caten_sd.blocks.small_floats import e2m1, times_groups
from caten_sd.state.leaf import dequantize, spec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from caten_sd.blocks.stated_quantization import Stated

GROUP, IN_GROUP = 16, 8  # numbers and bytes
FACTOR, DIVISOR = "_scale_2", "_global_scale"
OF_INPUTS = {"input_scale", "input_global_scale", "output_scale"}


@attrs.frozen(slots=False)
class Nvfp4(PackingScheme):
    """A weight in NVFP4; ``outer`` is the role of what the tensor has one of."""

    method = "nvfp4"
    tools: ClassVar[frozenset[str]] = frozenset({"compressed-tensors", "modelopt"})

    role: str
    outer: str

    @classmethod
    def of(cls, key: str, parts: Parts, stated: Stated) -> Self | None:
        """Return the scheme, whose scales are floats of 8 bits."""
        roles = parts.keys() - OF_INPUTS
        for role in ("", "_packed"):
            for outer in (FACTOR, DIVISOR):
                if roles == {role, "_scale", outer}:
                    return cls._of(key, parts, role, outer)
        return None

    @classmethod
    def _of(cls, key: str, parts: Parts, role: str, outer: str) -> Self | None:
        scales = spec(parts["_scale"])
        if spec(parts[role]).dtype.name != "uint8" or scales.dtype.name != "float8_e4m3fn":
            return None
        *rows, groups = scales.shape or (0,)
        fits = spec(parts[role]).shape == (*rows, groups * IN_GROUP) and rows
        if not fits or not are("float", parts[outer]) or not _is_one_each(parts[outer], rows):
            raise misfit(key, parts)
        return cls((*rows, groups * GROUP), 4, f"groups of {GROUP}", 1, role, outer)

    def cut(self, parts: Parts, start: int, stop: int) -> dict[str, Any]:
        """Return the rows, their scales, and those of their experts."""
        found = {role: along(parts[role], 0, start, stop) for role in (self.role, "_scale")}
        outer = parts[self.outer]
        alone = spec(outer).shape[:1] in ((), (1,))
        return {**found, self.outer: outer if alone else along(outer, 0, start, stop)}


def _is_one_each(outer: Any, rows: list[int]) -> bool:
    """Return whether there is one for all, or one for each expert."""
    shape = spec(outer).shape
    if all(length == 1 for length in shape):
        return True
    return len(rows) > 1 and shape[0] == rows[0] and all(length == 1 for length in shape[1:])


@dequantize.register(Nvfp4)
def _values(scheme: Nvfp4, parts: Parts, /) -> NDArray[Any]:
    import numpy as np

    scales, outer = (np.asarray(parts[r]).astype(np.float32) for r in ("_scale", scheme.outer))
    outer = outer.reshape(outer.shape[:1] + (1,) * (scales.ndim - 1)) if outer.size > 1 else outer
    outer = outer.reshape(-1)[0] if outer.size == 1 else outer
    if scheme.outer == DIVISOR:
        scales /= outer
    else:
        scales *= outer
    return times_groups(e2m1(parts[scheme.role]), scales)
