"""The proof of an explanation: its layout, applied both ways, gives the values of the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from caten_sd.files.cast import cast
from caten_sd.mapping.axis_lengths import Trim
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_plan import plan_layout
from caten_sd.mapping.operations import Identity
from caten_sd.proof.fingerprints import level_of, native
from caten_sd.proof.near_values import FARTHEST, distance
from caten_sd.proof.operation_search import Between
from caten_sd.state.compare import largest_error, same_values
from caten_sd.state.dtype import DTYPES
from caten_sd.state.leaf import spec
from caten_sd.state.state_dict import StateDict


@attrs.frozen
class Proof:
    """The tensors that a layout does not give as they are, and those that are rounded."""

    wrong: Mapping[str, str] = attrs.Factory(dict)
    rounded: Sequence[str] = ()


def prove(
    a: StateDict,
    b: StateDict,
    layout: Layout | None,
    explained: Sequence[Between],
    numbers: Mapping[str, int],
) -> Proof:
    """Return what the layout gives from A, against B, and from B, against A."""
    if layout is None:
        return Proof()
    compared, rounded = _Compared(a, b), list[str]()
    for side, (source, target, here, there) in enumerate(
        ((b, a, layout, layout.canonical), (a, b, layout.canonical, layout))
    ):
        keys = [key for each in explained for key in each.match.keys[1 - side]]
        # What a file says of itself is of another layout.
        bare = StateDict({key: source.entry[key] for key in keys})
        plan = plan_layout(bare, there, from_layout=here, config=dict(numbers))
        for each in explained:
            for key in each.match.keys[side]:
                made = plan.state_dict.entry.get(key)
                if side == 0 and made is not None and isinstance(each.operation, Trim):
                    compared.add_kept(key, made, target.entry[key], each, numbers)
                    continue
                compared.add(key, made, target.entry[key], each)
                exact = side and made is not None and not each.apart
                if exact and spec(made).dtype != spec(target.entry[key]).dtype:
                    rounded.append(key)
    return Proof(compared.wrong, [key for key in rounded if key not in compared.wrong])


class _Compared:
    """Tensors that a layout gave, compared with those that they should be."""

    def __init__(self, a: StateDict, b: StateDict) -> None:
        self.own = {id(leaf) for state in (a, b) for leaf in state.entry.values()}
        self.wrong: dict[str, str] = {}

    def add(self, key: str, made: Any, wanted: Any, each: Between) -> None:
        """Compare a tensor, unless it is only renamed: then the search compared the same two."""
        if isinstance(each.operation, Identity) and {id(made), id(wanted)} <= self.own:
            return
        if fault := _fault(made, wanted, each):
            self.wrong[key] = fault

    def add_kept(
        self, key: str, made: Any, wanted: Any, each: Between, numbers: Mapping[str, int]
    ) -> None:
        """Compare what both sides have of a tensor that one of them has cut."""
        cut = each.operation.bind(numbers.__getitem__)
        short, own = (cut.apply({(): leaf})[()] for leaf in (made, wanted))
        self.add(key, short, own, each)


def _fault(made: Any, wanted: Any, each: Between) -> str:
    """Return why a tensor is not as it should be, or ""."""
    if made is None:
        return "the layout does not give it"
    shapes = spec(made).shape, spec(wanted).shape
    if shapes[0] != shapes[1]:
        return f"of shape {list(shapes[0])}, and it is {list(shapes[1])}"
    if each.apart:
        apart = distance(made, wanted)
        return "" if apart <= FARTHEST else f"{apart:.2g} spreads of its values apart"
    made, wanted = (_at_level(leaf, each.match.level) for leaf in (made, wanted))
    if not each.operation.tolerance:
        return "" if same_values(made, wanted) else "other values"
    error, room = largest_error(made, wanted), each.operation.tolerance * _unit(wanted)
    return "" if error <= room else f"off by {error:.2g}, where {room:.2g} is rounding"


def _at_level(leaf: Any, level: str) -> Any:
    """Return a leaf rounded to the dtype in which values are compared, if it is a float."""
    dtype = spec(leaf).dtype
    return leaf if level in (dtype.name, level_of(dtype)) else cast(leaf, DTYPES[level])


def _unit(leaf: Any) -> float:
    """Return the epsilon of a leaf's dtype, times its largest element where that is above 1."""
    import numpy as np

    array = native(leaf)
    epsilon = 2.0**-7 if array.dtype.name == "bfloat16" else float(np.finfo(array.dtype).eps)
    return epsilon * max(1.0, float(np.abs(array.astype(np.float64)).max(initial=0.0)))
