"""The layers of a file, of which only names and shapes are known, by those of a live model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from caten_sd.errors import LayoutError
from caten_sd.loading.layer_matching import Named, root_of, words_by_place
from caten_sd.loading.layer_shapes import Likeness, likeness
from caten_sd.loading.model_layers import ModelLayers, PartKeys, array_layer
from caten_sd.mapping.layer_kinds import StandardLayer
from caten_sd.mapping.layer_pairs import PlacedLayer
from caten_sd.mapping.world_layers import APART
from caten_sd.mapping.world_tables import WORLDS, LayerNumbers, Table
from caten_sd.state.state_dict import StateDict


@attrs.frozen
class _Likely:
    """A layer that keys may be, what the live model's has to be, and whether that has its name."""

    layer: PlacedLayer
    likeness: Likeness
    is_named_so: bool

    @property
    def rank(self) -> tuple[int, bool]:
        """The rank among others that have one of its keys; the lowest takes it."""
        return -len(_names(self.layer)), not self.is_named_so


def as_of_world(
    named: ModelLayers,
    world: str,
    live: ModelLayers,
    names_there: Mapping[str, str],
    *,
    is_target: bool = False,
) -> ModelLayers:
    """Return a model by the layers that its keys would be in this framework.

    Only layers as the live model has them count. Where a key may be in several, the one of most
    keys is it, or the one that has the name of one in the live model. ``names_there`` are the names
    in the target of beginnings of names in the source.
    """
    found = _alike(named.state, world, live)
    words = _words_of_both([each for each, _ in found], named, live, names_there, is_target)
    known = {(likeness(layer, live.state), words[1][layer.place][1]) for layer in live.layers}
    likely = [_Likely(each, seen, (seen, words[0][each.place][1]) in known) for each, seen in found]
    taken: dict[str, _Likely] = {}
    for each in sorted(likely, key=lambda each: each.rank):
        names = _names(each.layer)
        before = next((taken[name] for name in names if name in taken), None)
        if before is None:
            taken.update(dict.fromkeys(names, each))
        elif before.rank == each.rank and set(_names(before.layer)) == set(names):
            raise _two_ways(before.layer, each.layer, world)
    layers = {id(each): each.layer for each in taken.values()}.values()
    arrays = [array_layer(key) for key in named.state if key not in taken]
    return attrs.evolve(named, layers=(*layers, *arrays), inside={}, is_named=True)


def _alike(state: StateDict, world: str, live: ModelLayers) -> list[tuple[PlacedLayer, Likeness]]:
    """Return the layers that the keys may be, of which the live model has one of the shapes."""
    kinds = {likeness(layer, live.state) for layer in live.layers}
    found: dict[Any, PlacedLayer] = {}
    keys = PartKeys(state)
    for kind, numbers in _asked(live):
        for each in _candidates(keys, kind, WORLDS[world], numbers):
            place = each.kind, each.rows
            found[place] = max(each, found.get(place, each), key=_own)
    shaped = [(each, _likeness_or_none(each, state)) for each in found.values()]
    return [(each, seen) for each, seen in shaped if seen is not None and seen in kinds]


def _words_of_both(
    found: Sequence[PlacedLayer],
    named: ModelLayers,
    live: ModelLayers,
    names_there: Mapping[str, str],
    is_target: bool,
) -> tuple[dict[str, Named], dict[str, Named]]:
    """Return the name and the words of each place of the named model and of the live one."""
    own = [*dict.fromkeys((*(each.place for each in found), *named.state))]
    its = [layer.place for layer in live.layers]
    root, its_root = root_of(found), root_of(live.layers)
    mine: Mapping[str, str] = {} if is_target else names_there
    theirs: Mapping[str, str] = names_there if is_target else {}
    return (
        words_by_place(own, mine, root, its_root),
        words_by_place(its, theirs, its_root, root),
    )


def _two_ways(one: PlacedLayer, other: PlacedLayer, world: str) -> LayoutError:
    kinds = " or as ".join(dict.fromkeys((one.kind, other.kind)))
    fix = (
        ""
        if one.kind == other.kind
        else "pass its name there to between in Python, names={...}, or "
    )
    return LayoutError(
        f"{one.place or 'the model'} may lie in two ways in {world} as {kinds}, and its shape does "
        f"not tell which: {fix}give the live model in place of its names"
    )


def _own(layer: PlacedLayer) -> int:
    """Return how many of a layer's names are below its place."""
    return sum(name.startswith(f"{layer.place}.") for name in _names(layer))


def _names(layer: PlacedLayer) -> list[str]:
    return [name for row in layer.rows for name in row.names]


def _likeness_or_none(layer: PlacedLayer, state: StateDict) -> Likeness | None:
    try:
        return likeness(layer, state)
    except LayoutError:  # it has another rank, or does not divide into heads
        return None


def _asked(live: ModelLayers) -> Iterator[tuple[str, LayerNumbers]]:
    """Yield each kind of the live model with the numbers that its rows may depend on."""
    seen = set()
    for each in live.layers:
        if each.layer is not None:
            shapes = dict(likeness(each, live.state)[1])
            rank = len(shapes.get("weight", ()))
            known = each.layer
            numbers = LayerNumbers(rank, known.heads, known.key_heads, known.groups or 1)
            if (each.kind, numbers) not in seen:
                seen.add((each.kind, numbers))
                yield each.kind, numbers


def _candidates(
    keys: PartKeys, kind: str, table: Table, numbers: LayerNumbers
) -> Iterator[PlacedLayer]:
    for rows in table[kind](numbers) if kind in table else ():
        for place in keys.places(rows):
            if (placed := keys.placed(place, StandardLayer(kind, rows, apart=APART))) is not None:
                yield placed
