"""The shapes that the parts of a layer have, whatever the framework that its tensors are of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.mapping.layer_kinds import KINDS
from caten_sd.mapping.layer_operations import by_position, in_order
from caten_sd.mapping.layer_pairs import PlacedLayer
from caten_sd.mapping.rows import Row
from caten_sd.mapping.training_layout import Placeholder
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.state_dict import StateDict
from caten_sd.state.steps import Shape

Likeness = tuple[str, tuple[tuple[str, Shape], ...]]  # a kind, and the shapes of its parts


def likeness(layer: PlacedLayer, leaves: StateDict) -> Likeness:
    """Return a layer's kind and the shapes of the parts that each layer of the kind has."""
    usual = KINDS.get(layer.kind, {})
    rows = [
        row for row in layer.rows if any(usual.get(part) is None for part in row.canonical_names)
    ]
    shapes = _shapes(rows, leaves)
    needed = ((part, shape) for part, shape in shapes.items() if usual.get(part) is None)
    return layer.kind, tuple(sorted(needed))


def require_shapes(one: PlacedLayer, here: StateDict, other: PlacedLayer, there: StateDict) -> None:
    """LayoutError if a part that not each layer of the kind has, as a bias, has two shapes."""
    mine, its = (
        _shapes([row for row in known.rows if len(row.names) == 1], leaves)
        for known, leaves in ((one, here), (other, there))
    )
    for part in sorted(mine.keys() & its.keys()):
        if mine[part] and its[part] and mine[part] != its[part]:
            raise LayoutError(
                f"{part} of {one.place or 'the model'} has the shape {list(mine[part])}, and "
                f"that of {other.place or 'the model'} of the other model "
                f"{list(its[part])}; build one as the other"
            )


def _shapes(rows: Iterable[Row], leaves: StateDict) -> dict[str, Shape]:
    """Return the shapes that the parts in rows have by their canonical names."""
    shapes: dict[str, Shape] = {}
    for row in rows:
        taken = by_position([_without_values(name, leaves[name]) for name in row.names])
        parts = in_order(row.operation.inverse().apply(taken))
        for part, leaf in zip(row.canonical_names, parts, strict=True):
            if (known := spec_or_none(leaf)) is not None:
                shapes[part] = known.shape
    return shapes


def _without_values(name: str, leaf: Any) -> Any:
    """Return what has the shape of a leaf, so that no value decides which layer is which."""
    known = spec_or_none(leaf)
    return leaf if known is None else Placeholder(name, known._replace(nbytes=0))
