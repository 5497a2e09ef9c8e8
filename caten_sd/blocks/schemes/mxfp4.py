"""MXFP4: floats of 4 bits, two in a byte, and a power of two for each 32 of them.

Format: OCP Microscaling (MX) 1.0. GPT-OSS has the bytes of each group on an axis of their own.
transformers turns the last two axes of the floats, and OpenAI and compressed-tensors do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from caten_sd.blocks.packing_schemes import PackingScheme, Parts, along, misfit
from caten_sd.blocks.small_floats import e2m1, e8m0, times_groups
from caten_sd.state.leaf import dequantize, spec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from caten_sd.blocks.stated_quantization import Stated

GROUP, IN_GROUP = 32, 16  # numbers and bytes
# The roles of the numbers and their scales: transformers' GPT-OSS, OpenAI's, and others.
GROUPED, GROUPED_PLAIN = ("_blocks", "_scales"), (".blocks", ".scales")
ROWS = (("_packed", "_scale"), ("", "_scale"))
OF_INPUTS = {"input_scale", "input_global_scale", "output_scale"}


@attrs.frozen(slots=False)
class Mxfp4(PackingScheme):
    """A weight in MXFP4; ``turned`` if the last two axes of the floats are exchanged."""

    method = "mxfp4"
    tools: ClassVar[frozenset[str]] = frozenset({"compressed-tensors", "modelopt", "quark"})

    roles: tuple[str, str]
    turned: bool

    @classmethod
    def of(cls, key: str, parts: Parts, stated: Stated) -> Self | None:
        """Return the scheme, whose scales are bytes."""
        roles = parts.keys() - OF_INPUTS
        pair = next((pair for pair in (GROUPED, GROUPED_PLAIN, *ROWS) if roles == {*pair}), None)
        if pair is None or spec(parts[pair[0]]).dtype.name != "uint8":
            return None
        if spec(parts[pair[1]]).dtype.name not in ("uint8", "float8_e8m0fnu"):
            return None
        blocks, scales = (spec(parts[role]).shape for role in pair)
        *rows, groups = scales or (0,)
        if blocks != ((*rows, groups * IN_GROUP) if pair in ROWS else (*rows, groups, IN_GROUP)):
            raise misfit(key, parts)
        turned = pair == GROUPED
        if not rows or (turned and len(rows) != 2):
            return None
        shape = (*rows[:-1], groups * GROUP, rows[-1]) if turned else (*rows, groups * GROUP)
        return cls(shape, 4, f"groups of {GROUP}", 1, pair, turned)

    def cut(self, parts: Parts, start: int, stop: int) -> dict[str, Any]:
        """Return the rows of both; they are experts where the axes are turned."""
        return {role: along(parts[role], 0, start, stop) for role in self.roles}

    @property
    def columns_together(self) -> int:
        """How many columns are in a group, where those are the inputs of an expert."""
        return GROUP if self.turned else 0

    def cut_columns(self, parts: Parts, start: int, stop: int) -> tuple[Self, dict[str, Any]]:
        """Return the groups that are the columns of each expert."""
        experts, _, outputs = self.shape
        cut = attrs.evolve(self, shape=(experts, stop - start, outputs))
        axis, first, end = 2, start // GROUP, -(-stop // GROUP)
        return cut, {role: along(parts[role], axis, first, end) for role in self.roles}


@dequantize.register(Mxfp4)
def _values(scheme: Mxfp4, parts: Parts, /) -> NDArray[Any]:
    import numpy as np

    raw, scales = (np.asarray(parts[role]) for role in scheme.roles)
    numbers = e2m1(raw).reshape(*scales.shape[:-1], scales.shape[-1] * GROUP)
    values = times_groups(numbers, e8m0(scales))
    return np.ascontiguousarray(values.swapaxes(-1, -2)) if scheme.turned else values
