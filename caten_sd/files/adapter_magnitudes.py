"""The magnitudes of DoRA in an adapter: the norms that the rows or columns of a sum get.

peft has one for each output, (outputs) or for a convolution (1, outputs, 1, 1). LyCORIS has them
with as many axes as the weight, for each output or for each input, and adds the smallest step of
float32 at 1 to each norm that it divides by. diffusers writes those of peft under LyCORIS' name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import attrs

from caten_sd.errors import LayoutError
from caten_sd.errors.printable import one_line
from caten_sd.files.adapter_names import DORA_SCALE, MAGNITUDES
from caten_sd.state.leaf import spec
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
            f"use_dora; get the adapter again, with the configuration that it was trained with"
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


class Rescaling(NamedTuple):
    """Magnitudes of an adapter with the weight whose rows or columns they are for."""

    key: str
    shape: Sequence[int]
    given: AdapterMagnitudes
    turned: bool  # the weight has its inputs first


def magnitudes_by_key(found: Sequence[Rescaling]) -> dict[str, Magnitudes]:
    """Return the magnitudes with the axis of the weight that they are for, as their shapes show.

    Where a shape may be of two conventions, it is of the one that the others in the adapter show.
    """
    may_be = {each.key: _conventions(each) for each in found}
    shown = {next(iter(each)) for each in may_be.values() if len(each) == 1}
    chosen = {}
    for each in found:
        possible = may_be[each.key]
        agreed = [place for name, place in possible.items() if name in shown]
        axes = {axis for axis, _ in possible.values()}
        if len(agreed) != 1 and len(axes) > 1 and each.shape[0] > 1:
            raise LayoutError(
                f"the {each.given.name} of {each.key} is {list(spec(each.given.leaf).shape)} and "
                f"the weight {list(each.shape)}, and nothing distinguishes whether it is for the "
                f"outputs, as diffusers writes it, or for the inputs, as LyCORIS does; merge the "
                f"adapter with the library that trained it"
            )
        axis, epsilon = agreed[0] if len(agreed) == 1 else next(iter(possible.values()))
        chosen[each.key] = Magnitudes(each.given.leaf, axis, epsilon)
    return chosen


def _conventions(of: Rescaling) -> dict[str, tuple[int, float]]:
    """Return the conventions that magnitudes may have, with axes and what is added to norms."""
    known = spec(of.given.leaf)
    if known.dtype.kind not in ("float", "block"):
        raise LayoutError(
            f"the {of.given.name} of {of.key} is {known.dtype} in the adapter, and magnitudes of "
            f"DoRA are floats; get the adapter again"
        )
    found = dict(_fitting(of, list(known.shape)))
    if not found:
        raise LayoutError(
            f"the {of.given.name} of {of.key} is {list(known.shape)} in the adapter, and the "
            f"weight {list(of.shape)} has other outputs; give the model that the adapter was "
            f"trained on"
        )
    return found


def _fitting(of: Rescaling, given: list[int]) -> Iterator[tuple[str, tuple[int, float]]]:
    """Yield the conventions whose shape is the given one."""
    shape, ones = of.shape, [1] * (len(given) - 2)
    if of.given.name == DORA_SCALE and not of.turned and len(given) > 1 and len(shape) > 1:
        if given == [shape[0], 1, *ones]:
            yield "LyCORIS, outputs", (0, _EPSILON)
        if given == [1, shape[1], *ones]:
            yield "LyCORIS, inputs", (1, _EPSILON)
    axis = len(shape) - 1 if of.turned else 0
    of_convolution = len(given) > 2 and not of.turned and given == [1, shape[0], *ones]
    if given == [shape[axis]] or of_convolution:
        yield "peft", (axis, 0.0)
