"""The layers of a model: what each is, and which keys its parts have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import attrs

from caten_sd.errors import LayoutError
from caten_sd.loading.owners import hooks_of
from caten_sd.mapping.layer_kinds import KINDS, StandardLayer
from caten_sd.mapping.layer_pairs import PlacedLayer
from caten_sd.mapping.operations import Identity
from caten_sd.mapping.pattern_pieces import is_name
from caten_sd.mapping.rows import Row
from caten_sd.objects.extract import get_state_dict
from caten_sd.objects.owner import slots_of, unwrap
from caten_sd.objects.slots import SAVED
from caten_sd.state.keys import Path, path_element, pytorch_style_dict_key
from caten_sd.state.live_mapping import LiveMapping
from caten_sd.state.quoting import python_literal
from caten_sd.state.state_dict import StateDict


@attrs.frozen
class ModelLayers:
    """A model by its layers; what is in none of them is a layer of the kind "array" by itself.

    ``name`` is that of its class. ``inside`` has, for each layer that opens, those it is made of.
    ``is_named`` is whether its layers are known by names alone, and ``has_names_alone`` whether
    they can be, as in a file and in a dict of arrays, in which no object says what it is.
    """

    name: str
    state: StateDict
    layers: tuple[PlacedLayer, ...]
    inside: Mapping[str, tuple[PlacedLayer, ...]] = attrs.field(factory=dict)
    is_named: bool = False
    has_names_alone: bool = False

    @property
    def kinds(self) -> set[str]:
        """The kinds of its layers, without what is in none."""
        return {layer.kind for layer in self.layers} - {"array"}

    def opened(self, kinds: set[str]) -> ModelLayers:
        """Return the model with those layers opened whose kind is not among these."""
        found: list[PlacedLayer] = []
        for layer in self.layers:
            opens = layer.kind not in kinds and layer.place in self.inside
            found += self.inside[layer.place] if opens else [layer]
        return attrs.evolve(self, layers=tuple(found), inside={})


def layers_of(model: Any) -> ModelLayers:
    """Return a model by its layers; LayoutError if a key cannot be the name of a row."""
    state = model if isinstance(model, StateDict) else get_state_dict(model)
    _refuse_names(state)
    found = PartKeys(state)
    layers: list[PlacedLayer] = []
    inside: dict[str, tuple[PlacedLayer, ...]] = {}
    for path, layer, owner in [] if state is model else _walked(model, [], set()):
        if (placed := found.placed(pytorch_style_dict_key(path), layer)) is None:
            continue
        layers.append(placed)
        if layer.opens:
            within = [
                each
                for name, value in _slots(owner)
                for each in _walked(value, [*path, name], set())
            ]
            parts = (found.placed(pytorch_style_dict_key(at), each) for at, each, _ in within)
            inside[placed.place] = tuple(each for each in parts if each is not None)
    taken = {name for layer in layers for row in layer.rows for name in row.names}
    arrays = [array_layer(key) for key in state if key not in taken]
    order = {key: number for number, key in enumerate(state)}
    everything = sorted([*layers, *arrays], key=lambda each: order[each.rows[0].names[0]])
    alone = isinstance(model, Mapping) and not isinstance(model, LiveMapping)
    return ModelLayers(_name(model), state, tuple(everything), inside, has_names_alone=alone)


def with_modules(model: ModelLayers, modules: Mapping[Any, Any]) -> ModelLayers:
    """Return a model of variables by the modules that a library has for them, by their paths.

    A path is a text with "/" between its names, as of linen's ``module_paths``, or a tuple of
    names, and begins at the root or below it. LayoutError if no module has variables.
    """
    found = PartKeys(model.state)
    starts = ("", *(f"{root}." for root in found.roots))
    layers: list[PlacedLayer] = []
    for path, module in modules.items():
        names = path if isinstance(path, tuple) else str(path).split("/")
        inner = ".".join(map(str, names))
        if any(_is_below(inner, layer.place, starts) for layer in layers):
            continue  # a dense layer of an attention
        for layer in hooks_of(module).layers():
            places = (f"{start}{inner}".removesuffix(".") for start in starts)
            placed = [each for place in places if (each := found.placed(place, layer))]
            layers += [max(placed, key=lambda each: len(each.rows))] if placed else []
    if not layers:
        raise LayoutError(
            f"no module of modules= has variables in {model.name}: pass those of this model by "
            f"their paths, as its module_paths(key, x) returns them"
        )
    taken = {name for layer in layers for row in layer.rows for name in row.names}
    arrays = (array_layer(key) for key in model.state if key not in taken)
    return attrs.evolve(model, layers=(*layers, *arrays), inside={})


def _is_below(inner: str, place: str, starts: tuple[str, ...]) -> bool:
    return any(f"{start}{inner}".startswith(f"{place}.") for start in starts)


def _name(model: Any) -> str:
    """Return the class of a model, or of the first of several that are one, with their state."""
    return type(model[0] if isinstance(model, tuple) and model else model).__name__


def array_layer(key: str) -> PlacedLayer:
    """Return a tensor that is in no layer as one by itself."""
    return PlacedLayer("array", key, (Row("", key, Identity()),))


def _refuse_names(keys: Mapping[str, Any]) -> None:
    for key in keys:
        if not is_name(key):
            raise LayoutError(
                f"{python_literal(key)} cannot be a name in a layout, since it has an empty part, "
                f"a space or one of {{}}*; give its slot another name"
            )


def _slots(owner: Any) -> Iterator[tuple[Any, Any]]:
    for name, value, kind in slots_of(owner) or ():
        if kind in SAVED:
            yield path_element(name), value


def _walked(obj: Any, path: Path, above: set[int]) -> Iterator[tuple[Path, StandardLayer, Any]]:
    """Yield the path, the layer and the object for each layer in an object, in order."""
    owner = unwrap(obj)
    if id(owner) in above or slots_of(owner) is None:
        return
    layers = hooks_of(owner).layers()
    for layer in layers:
        yield path, layer, owner
    if layers:
        return
    for name, value in _slots(owner):
        yield from _walked(value, [*path, name], {*above, id(owner)})


MOST_SEGMENTS = 3  # of the name of a part, as in "query.kernel.value"


class PartKeys:
    """Finds the keys of a layer's parts, which may be below another root than the layer.

    So they are in Flax, whose batch_stats are beside the params, and in Equinox, whose State is
    beside the model.
    """

    def __init__(self, state: StateDict) -> None:
        self._keys = state.entry
        self.roots = dict.fromkeys(key.partition(".")[0] for key in state)

    @cached_property
    def _by_end(self) -> dict[str, list[str]]:
        """The beginnings of keys by their ends of up to three segments."""
        found: dict[str, list[str]] = {}
        for key in self._keys:
            found.setdefault(key, []).append("")
            words = key.rsplit(".", MOST_SEGMENTS)
            for count in range(1, min(len(words) - 1, MOST_SEGMENTS) + 1):
                end = ".".join(words[-count:])
                found.setdefault(end, []).append(key[: -len(end) - 1])
        return found

    def places(self, rows: Iterable[Row]) -> list[str]:
        """Return the beginnings of keys that end in a name of the rows."""
        ends = (name for row in rows for name in row.names)
        return list(dict.fromkeys(place for end in ends for place in self._by_end.get(end, ())))

    def placed(self, place: str, layer: StandardLayer) -> PlacedLayer | None:
        """Return a layer with the full names of its parts; None if one that it needs is not there.

        A row counts where the layer has all of its names.
        """
        rows = []
        for row in layer.rows:
            names = [self._key(place, name, name in layer.apart) for name in row.names]
            if None not in names:
                rows.append(Row(row.canonical, tuple(map(str, names)), row.operation))
        known = {part for row in rows for part in row.canonical_names}
        needed = {part for part, usual in KINDS.get(layer.kind, {}).items() if usual is None}
        if not rows or not needed <= known:
            return None
        where = f"{place}{layer.suffix}" if place else layer.suffix
        return PlacedLayer(layer.kind, where, tuple(rows), layer)

    def _key(self, place: str, name: str, apart: bool) -> str | None:
        own = f"{place}.{name}" if place else name
        if own in self._keys or not apart:
            return own if own in self._keys else None
        _, dot, rest = place.partition(".")
        below = f"{rest}.{name}" if dot else name
        others = [f"{root}.{below}" for root in self.roots if f"{root}.{below}" in self._keys]
        return others[0] if place and len(others) == 1 else None
