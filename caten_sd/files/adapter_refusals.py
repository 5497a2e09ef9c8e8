"""What of an adapter cannot be added to the tensors of a model, each refused in one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.errors.printable import one_line
from caten_sd.files.adapter_pairs import AdapterPair
from caten_sd.state.leaf import spec
from caten_sd.state.state_dict import StateDict


def check_pair(pair: AdapterPair, key: str, state: StateDict, packed: set[str]) -> None:
    """Refuse a pair for a weight that is not of floats, or that is of another shape."""
    known = spec(state[key])
    if key in packed or known.dtype.kind != "float":
        first = "to_floats(state_dict) in Python or --dtype f16 in the same command"
        remedy = first if key in packed else "caten-sd convert --dtype f16 before this step"
        raise LayoutError(
            f"{key} is {known.dtype}, and a pair of an adapter can be added to floats only; make "
            f"it a float first, by {remedy}"
        )
    product = pair.product
    dtypes = [spec(each).dtype for each in product.origins()]
    if odd := [dtype for dtype in dtypes if dtype.kind not in ("float", "block")]:
        raise LayoutError(
            f"the pair of {key} is {odd[0]} in the adapter, and a pair of LoRA is of floats; get "
            f"the adapter again"
        )
    if not product.fits(known.shape):
        down, up = (list(spec(each).shape) for each in product.origins())
        turned = " turned, as fan_in_fan_out states," if product.turned else ""
        raise LayoutError(
            f"{key} is {list(known.shape)}, and the product of its pair, {up} and {down},{turned} "
            f"is of another shape; give the model that the adapter was trained on"
        )


def bias_key(key: str, pair: AdapterPair, state: StateDict) -> str:
    """Return the key of the bias to which that of a pair is added."""
    bias = f"{key.removesuffix('weight')}bias"
    if bias not in state or spec(state[bias]).shape != spec(pair.bias).shape:
        shape = list(spec(pair.bias).shape)
        raise LayoutError(
            f"the pair of {key} has a bias {shape}, and the model has no {bias} of that shape; "
            f"give the model that the adapter was trained on"
        )
    return bias


def check_full(full: Mapping[str, Any], state: StateDict) -> None:
    """Refuse whole tensors of the adapter that take the place of none, or of another shape."""
    for key, leaf in full.items():
        shape = list(spec(leaf).shape)
        if key not in state:
            raise LayoutError(
                f"{one_line(key)} {shape} of the adapter is not of a pair of LoRA, and the model "
                f"has no tensor of that name; give an adapter of pairs of LoRA alone, or a model "
                f"that has it"
            )
        if list(spec(state[key]).shape) != shape:
            raise LayoutError(
                f"{key} is {list(spec(state[key]).shape)} in the model and {shape} in the adapter, "
                f"which has it whole; give a model of that size"
            )


def refuse_two_with_magnitudes(pairs: Iterable[tuple[AdapterPair, str]], state: StateDict) -> None:
    """Refuse two pairs for one weight, such as that of tied layers, of which one is of DoRA.

    peft merges one after the other, so the norm that the second changes is that of the first
    result, and the order is that of the layers in the class of the model.
    """
    found: dict[int, list[tuple[AdapterPair, str]]] = {}
    for pair, key in pairs:
        found.setdefault(id(state[key]), []).append((pair, key))
    for same in found.values():
        if len(same) > 1 and any(pair.magnitudes for pair, _ in same):
            paths = " and ".join(one_line(pair.path) for pair, _ in same)
            raise LayoutError(
                f"{same[0][1]} has the pairs of {paths} in the adapter, of which one is of DoRA, "
                f"and the result depends on which is merged first; merge the adapter with peft's "
                f"merge_and_unload"
            )
