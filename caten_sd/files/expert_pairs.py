"""Pairs of LoRA for tensors that have experts stacked, which peft calls target_parameters.

peft wraps the layer once for each of its tensors, so that the pairs of all but one are called
"base_layer". Which tensor a pair is for is told by its shape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from caten_sd.errors import LayoutError
from caten_sd.errors.printable import one_line
from caten_sd.state.low_rank import StackedLowRank

BASE_LAYER = ".base_layer"
_LONGEST = 100  # characters of a value that a message shows


def stacked_parameters(path: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the tensors that a pair of this path may be for; none for a layer.

    >>> stacked_parameters("h.0.experts.base_layer", {"target_parameters": ["experts.up", "x.up"]})
    ('up',)
    """
    layer = f".{path.replace(BASE_LAYER, '')}"
    parts = [target.rpartition(".") for target in config.get("target_parameters") or ()]
    return tuple(dict.fromkeys(name for of, _, name in parts if of and layer.endswith(f".{of}")))


def rank_of_experts(path: str, down: Sequence[int], config: Mapping[str, Any]) -> int:
    """Return the rank of the pair of one expert, which the configuration alone states."""
    rank = config.get("r")
    patterns = [name for name in ("rank_pattern", "alpha_pattern") if config.get(name)]
    if patterns:
        raise LayoutError(
            f"the adapter_config.json has {' and '.join(patterns)} next to target_parameters, and "
            f"which of them are for {one_line(path)} is not known; merge the adapter with peft's "
            f"merge_and_unload"
        )
    if type(rank) is not int or rank < 1 or len(down) != 2 or down[0] % rank:
        raise LayoutError(
            f"the pair of {one_line(path)} has {list(down)}, and the adapter_config.json states "
            f"r {one_line(rank, _LONGEST)} for each expert; get the adapter_config.json of this "
            f"adapter"
        )
    return rank


def turned_alike(
    found: Sequence[tuple[str, StackedLowRank, Sequence[int]]],
) -> dict[str, StackedLowRank]:
    """Return the products by key, with the order of axes that their shapes show.

    Where a weight is square, the order is that of all others. Each is given with its key and the
    shape of its weight. LayoutError if two have one key.
    """
    products = {key: (product, shape) for key, product, shape in found}
    if len(products) < len(found):
        key = Counter(key for key, _, _ in found).most_common(1)[0][0]
        raise LayoutError(
            f"by their shapes, two pairs of the adapter are for {key}, and one tensor has one; "
            f"give the model that the adapter was trained on"
        )
    turns = {key: product.turns(shape) for key, (product, shape) in products.items()}
    shown = {each[0] for each in turns.values() if len(each) == 1}
    turned = {}
    for key, each in turns.items():
        if len(each) > 1 and len(shown) != 1:
            raise LayoutError(
                f"{key} is square, and no other pair of the adapter shows whether its outputs or "
                f"its inputs come first; merge the adapter with peft's merge_and_unload"
            )
        order = each[0] if len(each) == 1 else next(iter(shown))
        turned[key] = attrs.evolve(products[key][0], turned=order)
    return turned
