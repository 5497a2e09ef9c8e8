"""The magnitudes of DoRA in an adapter: the norms that the rows or columns of a sum get.

peft has one for each output, (outputs) or for a convolution (1, outputs, 1, 1). LyCORIS has them
with as many axes as the weight, for each output or for each input, and adds the smallest step of
float32 at 1 to each norm that it divides by. diffusers writes those of peft under LyCORIS' name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from caten_sd.errors import LayoutError
from caten_sd.errors.printable import one_line
from caten_sd.files.adapter_names import DORA_SCALE, MAGNITUDES
from caten_sd.state.leaf import spec
from caten_sd.state.low_rank import LowRank, StackedLowRank
from caten_sd.state.rescaled_sum import Magnitudes

_EPSILON = 2.0**-23  # of float32, in which LyCORIS computes


@attrs.frozen
class AdapterMagnitudes:
    """The magnitudes of a pair as its adapter has them, and what their key ends with."""

    leaf: Any
    name: str


def magnitudes_of(
    path: str, found: Mapping[str, Any], stated: Mapping[str, Any] | None
) -> AdapterMagnitudes | None:
    """Return the magnitudes of a pair; LayoutError if its configuration states otherwise."""
    names = [name for name in (MAGNITUDES, DORA_SCALE) if name in found]
    uses = stated is not None and bool(stated.get("use_dora"))
    if len(names) > 1:
        raise LayoutError(
            f"{one_line(path)} of the adapter has {' and '.join(names)}, and a pair has one of "
            f"them; get the adapter again"
        )
    if names and stated is not None and not uses:
        raise LayoutError(
            f"{one_line(path)} of the adapter has {names[0]}, and its configuration does not state "
            f"use_dora; get the adapter_config.json of this adapter"
        )
    if uses and not names:
        raise LayoutError(
            f"the configuration of the adapter states use_dora, and {one_line(path)} has no "
            f"{MAGNITUDES}; get the adapter again"
        )
    if names and "bias" in found:
        raise LayoutError(
            f"{one_line(path)} of the adapter has {names[0]} and a lora_B.bias, and peft trains no "
            f"pair with both; get the adapter again"
        )
    return AdapterMagnitudes(found[names[0]], names[0]) if names else None


def magnitudes_for(
    key: str, shape: Sequence[int], given: AdapterMagnitudes, product: LowRank | StackedLowRank
) -> Magnitudes:
    """Return the magnitudes with the axis of the weight that they are for, as their shape shows."""
    known = spec(given.leaf)
    if known.dtype.kind not in ("float", "block"):
        raise LayoutError(
            f"the {given.name} of {key} is {known.dtype} in the adapter, and magnitudes of DoRA "
            f"are floats; get the adapter again"
        )
    may_be = list(_axes(shape, known.shape, given.name, turned=product.turned))
    if not may_be:
        raise LayoutError(
            f"the {given.name} of {key} is {list(known.shape)} in the adapter, and the weight "
            f"{list(shape)} has other outputs; give the model that the adapter was trained on"
        )
    axes = {axis for axis, _ in may_be}
    if len(axes) > 1 and shape[0] > 1:
        raise LayoutError(
            f"the {given.name} of {key} is {list(known.shape)} and the weight {list(shape)}, and "
            f"nothing distinguishes whether it is for the outputs, as diffusers writes it, or for "
            f"the inputs, as LyCORIS does; merge the adapter with the library that trained it"
        )
    axis, epsilon = may_be[0]
    return Magnitudes(given.leaf, axis, epsilon)


def _axes(
    shape: Sequence[int], given: Sequence[int], name: str, *, turned: bool
) -> Iterator[tuple[int, float]]:
    """Yield the axes that magnitudes of a shape may be for, with what is added to each norm."""
    ones = [1] * (len(given) - 2)
    if name == DORA_SCALE and not turned and len(given) > 1 and len(shape) > 1:
        if list(given) == [shape[0], 1, *ones]:
            yield 0, _EPSILON
        if list(given) == [1, shape[1], *ones]:
            yield 1, _EPSILON
    axis = len(shape) - 1 if turned else 0
    if list(given) == [shape[axis]]:
        yield axis, 0.0
    if len(given) > 2 and not turned and list(given) == [1, shape[0], *ones]:
        yield 0, 0.0
