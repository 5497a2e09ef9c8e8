"""The layout between two models of standard layers, each of whatever world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from caten_sd.errors import LayoutError
from caten_sd.loading.layer_matching import (
    KnownLayer,
    Matched,
    matched,
    root_of,
    words_by_place,
)
from caten_sd.loading.layer_shapes import likeness, require_shapes
from caten_sd.loading.model_layers import ModelLayers, layers_of, with_modules
from caten_sd.loading.named_model import as_of_world
from caten_sd.mapping.layer_pairs import rows_between
from caten_sd.mapping.layout_between import LayoutBetween
from caten_sd.mapping.rows import Lacks, Row
from caten_sd.mapping.world_tables import WORLDS
from caten_sd.state.options import checked_options
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import counted, first_few

if TYPE_CHECKING:
    from caten_sd.mapping.layout import Layout


MOST_CUTS = 8  # tensors of one framework that are one of another; an LSTM has up to 6 more


@checked_options()
def between(
    source: Any,
    target: Any,
    *,
    names: Mapping[str, str] | None = None,
    world: str | None = None,
    modules: Mapping[Any, Any] | None = None,
) -> Layout:
    """Return the layout in which the state of one model is that of another.

    The models may be of two frameworks, such as torch and Flax. Each layer is known by its kind,
    which decides how its kernel lies, and is found in the other model by its name, by its shapes if
    no other layer has them, and by the numbers in names. ``names`` maps the beginnings of keys of
    the source to those of the target where that does not tell. LayoutError if a layer has none, if
    several may be it, or if it has another count of heads or groups, which no shape tells.

    One of the two may be a state dict, as of a file: its layers are known by those of the other,
    and its framework by names and shapes. ``world`` names it ("torch", "flax", "equinox", "mlx",
    "caten_sd") where several are possible that differ. ``modules`` has the modules of a side that
    is the variables of Flax's linen, by their paths: ``model.module_paths(key, x)``.

    Use it as ``to_layout(get_state_dict(source), between(source, target))``, or as the ``layout=``
    of ``load`` and ``convert``. ``notes`` of the layout say where more than names and orders of
    axes differ: biases that are added, what is filled in or left out, an epsilon.
    """
    one, other = layers_of(source), layers_of(target)
    if modules is not None:
        one, other = _by_modules(one, other, modules)
    if one.kinds and other.kinds:
        if world is not None:
            raise LayoutError(
                f"both models say what their layers are, so leave out world= or --from, {world!r}"
            )
        kinds = one.kinds & other.kinds
        return _of_layers(one.opened(kinds), other.opened(kinds), names or {})
    _require_kinds(one, other)
    return _of_worlds(one, other, names or {}, world)


def _require_kinds(one: ModelLayers, other: ModelLayers) -> None:
    """LayoutError unless one side says what its layers are, and the other does or is a file."""
    if not one.kinds and not other.kinds:
        raise LayoutError(
            f"neither {one.name} nor {other.name} says what kinds of layers it has, which decide "
            f"how a kernel lies: give a live model of a framework in place of one of them"
        )
    silent = other if one.kinds else one
    if not silent.has_names_alone:
        raise LayoutError(
            f"{silent.name} has no layer of a known kind, which decides how a kernel lies: say it "
            f"in a method __layers__ of its classes, or give its state dict if its names are those "
            f"of a framework"
        )


def _by_modules(
    one: ModelLayers, other: ModelLayers, modules: Mapping[Any, Any]
) -> tuple[ModelLayers, ModelLayers]:
    """Return both models, of which that without known layers has those of the modules."""
    for number, side in enumerate((other, one)):
        if side.kinds:
            continue
        try:
            known = with_modules(side, modules)
        except LayoutError:
            if number or one.kinds:
                raise
        else:
            return (one, known) if side is other else (known, other)
    raise LayoutError("both models say what their layers are, so leave out modules=")


def _of_worlds(
    one: ModelLayers, other: ModelLayers, names: Mapping[str, str], world: str | None
) -> Layout:
    """Return the layout where one side is known by names: of the only framework that it may be."""
    named, live = (one, other) if other.kinds else (other, one)
    if world is not None and world not in WORLDS:
        known = ", ".join(map(repr, WORLDS))
        raise LayoutError(
            f"world= or --from is {world!r}, and the framework of {named.name} is one of {known}; "
            f"give one, leave it out, or give a live model"
        )
    _require_alike(named, live)
    found: dict[str, LayoutBetween] = {}
    errors: dict[str, LayoutError] = {}
    for each in [world] if world is not None else WORLDS:
        try:
            sides = (
                (as_of_world(one, each, other, names), other)
                if other.kinds
                else (one, as_of_world(other, each, one, names, is_target=True))
            )
            kinds = sides[0].kinds & sides[1].kinds
            found[each] = _of_layers(sides[0].opened(kinds), sides[1].opened(kinds), names)
        except LayoutError as error:
            errors[each] = error
    if not found:
        raise min(errors.values(), key=lambda error: len(str(error)))
    return _only_one(found, named)


def _require_alike(named: ModelLayers, live: ModelLayers) -> None:
    """LayoutError if a file has far more tensors than the layers of a model can be cut into."""
    own = len(named.state) - len(named.state.ties)
    if own > MOST_CUTS * len(live.state):
        raise LayoutError(
            f"{named.name} has {counted(own, 'tensor')} and {live.name} has "
            f"{counted(len(live.state), 'tensor')}, so most have no certain counterpart in the "
            f"other; select those of this model first"
        )


def _only_one(found: Mapping[str, LayoutBetween], named: ModelLayers) -> LayoutBetween:
    """Return the layout that all frameworks have in common; LayoutError if two differ."""
    (first, layout), *others = found.items()
    for name, another in others:
        if set(another.rows) != set(layout.rows):
            raise LayoutError(
                f"{named.name} may be of {first} or of {name}, whose layers do not lie alike, and "
                f"neither its names nor its shapes tell: pass world={first!r} or world={name!r}, "
                f"or --from with one of them"
            )
    return layout


def _of_layers(one: ModelLayers, other: ModelLayers, names: Mapping[str, str]) -> LayoutBetween:
    found = matched(*_known(one, other, names))
    left_out = _tied_left_out(one.state, other.state, found)
    _require_all(found, one, other)
    rows: list[Row | Lacks] = []
    notes: list[str] = []
    for mine, its in found.pairs:
        require_shapes(mine.layer, one.state, its.layer, other.state)
        more, said = rows_between(mine.layer, its.layer, fills=not one.is_named)
        rows += more
        notes += [*said, *_said_of_array(mine, its)]
    if not rows:
        raise LayoutError(f"{one.name} and {other.name} have no layer; give models with parameters")
    return LayoutBetween(f"{one.name}-to-{other.name}", [*rows, *left_out], said=tuple(notes))


def _said_of_array(mine: KnownLayer, its: KnownLayer) -> list[str]:
    """Return that an array of several axes is in no layer, so that nothing says how it lies."""
    kind, shapes = mine.likeness
    if kind != "array" or not any(len(shape) > 1 for _, shape in shapes):
        return []
    name = f"{mine.layer.place} and {its.layer.place}"
    return [f"{name} are in no layer of a known kind, and are taken to lie alike"]


def _known(
    one: ModelLayers, other: ModelLayers, names: Mapping[str, str]
) -> tuple[list[KnownLayer], list[KnownLayer]]:
    """Return the layers of both models with the words of their names, of the source as renamed."""
    roots = root_of(one.layers), root_of(other.layers)
    words = (
        words_by_place([layer.place for layer in one.layers], names, *roots),
        words_by_place([layer.place for layer in other.layers], {}, roots[1], ""),
    )
    mine, its = (
        [
            KnownLayer(layer, *words[side][layer.place], likeness(layer, model.state))
            for layer in model.layers
        ]
        for side, model in enumerate((one, other))
    )
    return mine, its


def _tied_left_out(one: StateDict, other: StateDict, found: Matched) -> list[Lacks]:
    """Take those layers out of the unmatched that are a matched one under another name.

    Return the rows of those of the source; those of the target get their values with the tie.
    """
    here = _by_first(one, [mine for mine, _ in found.pairs])
    there = _by_first(other, [its for _, its in found.pairs])
    rows: list[Lacks] = []
    for each in found.only_one:
        firsts = {key: here.get(one.ties.get(key, key)) for key in _keys(each)}
        if all(firsts.values()):
            rows += [Lacks(key, "tied", tied=str(first)) for key, first in firsts.items()]
    left_out = {row.canonical for row in rows}
    found.only_one[:] = [each for each in found.only_one if left_out.isdisjoint(_keys(each))]
    found.only_other[:] = [
        each
        for each in found.only_other
        if not all(other.ties.get(key, key) in there for key in _keys(each))
    ]
    return rows


def _by_first(state: StateDict, layers: Sequence[KnownLayer]) -> dict[str, str]:
    """Return the key that layers have of each tensor, by the first key that the tensor has."""
    return {state.ties.get(key, key): key for layer in layers for key in _keys(layer)}


def _keys(known: KnownLayer) -> list[str]:
    return [name for row in known.layer.rows for name in row.names]


def _require_all(found: Matched, one: ModelLayers, other: ModelLayers) -> None:
    """LayoutError if a layer of either model is not known in the other."""
    if not found.only_one and not found.only_other:
        return
    sides = [
        f"{counted(len(layers), 'layer')} of {model.name} ({_listed(layers)})"
        for layers, model in ((found.only_one, one), (found.only_other, other))
        if layers
    ]
    verb = "has" if len(found.only_one) + len(found.only_other) == 1 else "have"
    raise LayoutError(
        f"{' and '.join(sides)} {verb} no certain counterpart in the other; {_fix(found)}"
    )


def _fix(found: Matched) -> str:
    proposal = _proposal(found)
    if proposal:
        return f"if their order is the same, pass names={proposal!r} to between in Python"
    return (
        "build the models of the same layers, or pass names={...} to between in Python, the "
        "beginnings of keys of the first to those of the second"
    )


def _listed(layers: Sequence[KnownLayer]) -> str:
    return first_few([_said(layer) for layer in layers], 4)


def _said(known: KnownLayer) -> str:
    kind, shapes = known.likeness
    listed = ", ".join(str(list(shape)) for _, shape in shapes)
    return f"{known.layer.place or 'the model itself'}, {kind} {listed}"


def _proposal(found: Matched) -> dict[str, str]:
    """Return the names in the order of the models, if all that is left is alike in that order."""
    pairs = list(zip(found.only_one, found.only_other, strict=False))
    alike = all(mine.likeness == its.likeness for mine, its in pairs)
    if not alike or len(found.only_one) != len(found.only_other):
        return {}
    return {mine.layer.place: its.layer.place for mine, its in pairs}
