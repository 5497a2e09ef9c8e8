"""The layers of a live model by their paths, and those of two models that have the same weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import attrs

from caten_sd.errors import CatenError, StateDictError
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.known import find_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.objects.extract import get_state_dict
from caten_sd.objects.owner import slots_of, unwrap
from caten_sd.state.derivation import derivation
from caten_sd.state.keys import Path, joined_key, pytorch_style_dict_key
from caten_sd.state.leaf import LazyLeaf, spec_or_none
from caten_sd.state.live_mapping import is_live_mapping
from caten_sd.state.padding_steps import Padded, Trimmed
from caten_sd.state.state_dict import StateDict
from caten_sd.state.steps import Permute
from caten_sd.state.value_steps import ValueStep

# Steps after which a layer still gives its output in the same order.
_IN_ORDER = (Permute, ValueStep, Padded, Trimmed)


class LiveModel:
    """A model, its state, and its layers by their paths; the path of the model itself is ""."""

    def __init__(self, side: str, model: Any) -> None:
        self.side, self.model = side, model
        self.state = get_state_dict(model)
        if not self.state:
            raise StateDictError(
                f"{side}, {type(model).__name__}, has no state: none of its slots holds a tensor; "
                f"give a model with weights"
            )
        self.layers = dict(_layers(model))

    def above(self, key: str) -> list[str]:
        """Return the paths of the layers that a tensor is in, from the outermost."""
        path = self.state.paths[key]
        names = [pytorch_style_dict_key(path[:end]) for end in range(len(path))]
        return [name for name in names if name in self.layers]


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    seen: set[int] = set()
    waiting: list[tuple[Path, Any]] = [([], model)]
    while waiting:
        path, owner = waiting.pop()
        owner = unwrap(owner)
        slots = None if id(owner) in seen else slots_of(owner)
        if slots is None:
            continue
        seen.add(id(owner))
        if is_live_mapping(owner) or not isinstance(owner, (Mapping, list, tuple)):
            yield pytorch_style_dict_key(path), owner
        waiting += [([*path, name], value) for name, value, kind in slots if kind != "cache"][::-1]


@attrs.frozen
class SameWeights:
    """The weights of B under the names of A, and the keys in B that each is made of."""

    leaves: Mapping[str, Any]
    origins: Mapping[str, tuple[str, ...]]
    found_by: str

    def is_in_order(self, key: str) -> bool:
        """Return whether the layer of a tensor gives its output in the same order in A and B."""
        return all(isinstance(each.step, _IN_ORDER) for each in derivation(self.leaves[key]))


def same_weights(a: LiveModel, b: LiveModel, layout: str | Layout | None) -> SameWeights:
    """Return the weights of B under the names of A; StateDictError if they cannot be told."""
    if layout is None:
        shared = sum(key in b.state for key in a.state)
        if shared * 2 >= min(len(a.state), len(b.state)):
            return _mapped(a, b, b.state, "the same names")
    here = _layout_of(a.state)
    there = _layout_of(b.state) if layout is None else find_layout(layout)
    if here is not None and (there is None or here.architecture != there.architecture):
        here = None
    if layout is None and (here is None or there is None):
        raise StateDictError(
            f"A and B, {type(a.model).__name__} and {type(b.model).__name__}, have "
            f"{'hardly a' if shared else 'no'} name in common, and no layout is known for both; "
            f"let `caten-sd suggest A B -o mine.toml` propose one, correct it, and pass "
            f"layout='mine.toml', or --layout mine.toml"
        )
    assert there is not None
    target = there.canonical if here is None else here
    config = getattr(b.model, "config", None) or getattr(a.model, "config", None)
    leaves = to_layout(
        StateDict(b.state.entry, config=b.state.config),
        target,
        from_layout=there,
        config=config,
        prefix=target.prefix_in(a.state.keys()),
        silent=True,
    )
    return _mapped(a, b, leaves, f"the layouts {target.name} and {there.name}")


def _layout_of(state: StateDict) -> Layout | None:
    try:
        return detect_layout(state).layout
    except CatenError:
        return None


def _mapped(a: LiveModel, b: LiveModel, leaves: Mapping[str, Any], how: str) -> SameWeights:
    keys = {id(leaf): key for key, leaf in reversed(b.state.entry.items())}
    shared = {key: leaves[key] for key in a.state if key in leaves}
    origins = {
        key: tuple(dict.fromkeys(keys[id(each)] for each in _bases(leaf) if id(each) in keys))
        for key, leaf in shared.items()
    }
    return SameWeights(shared, origins, how)


def _bases(leaf: Any) -> Iterator[Any]:
    origins = leaf.origins() if isinstance(leaf, LazyLeaf) else ()
    if not origins:
        yield leaf
    for each in origins:
        yield from _bases(each)


class LayerPair(NamedTuple):
    """The paths of a layer in A and in B; ``outputs`` is whether their outputs are comparable."""

    a: str
    b: str
    outputs: bool


def layer_pairs(a: LiveModel, b: LiveModel, weights: SameWeights) -> list[LayerPair]:
    """Return the layers of A and B that have the same weights, and those next to them in name."""
    here = _by_weights({key: [a.above(key)] for key in weights.origins}, a)
    there = _by_weights(
        {key: [b.above(each) for each in own] for key, own in weights.origins.items() if own}, b
    )
    pairs = {"": ""}
    for held, paths in here.items():
        others = [path for path in there.get(held, ()) if path]
        paths = [path for path in paths if path]
        if len(paths) == len(others):
            pairs.update(zip(paths, others, strict=True))
        elif paths and others:
            pairs[paths[-1]] = others[-1]
    pairs.update(dict(_without_weights(a, b, pairs)))
    apart = {a.above(key)[-1] for key in weights.leaves if not weights.is_in_order(key)}
    return [LayerPair(path, pairs[path], path not in apart) for path in a.layers if path in pairs]


def _by_weights(
    places: Mapping[str, Iterable[list[str]]], model: LiveModel
) -> dict[frozenset[str], list[str]]:
    """Return the layers, from the outermost, by the weights that each has as a whole."""
    held: dict[str, set[str]] = {}
    for key, above in places.items():
        first, *rest = above
        for path in first:
            if all(path in other for other in rest):
                held.setdefault(path, set()).add(key)
    found: dict[frozenset[str], list[str]] = {}
    for path in sorted(held, key=lambda each: (each.count("."), len(each))):
        found.setdefault(frozenset(held[path]), []).append(path)
    return found


def _without_weights(
    a: LiveModel, b: LiveModel, pairs: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield layers without tensors of paired layers, which are called the same in both."""
    used = set(pairs.values())
    for path in a.layers:
        parent, _, name = path.rpartition(".")
        other = joined_key(pairs[parent], name) if parent in pairs else ""
        if path and path not in pairs and other in b.layers and other not in used:
            bare = not has_parts(a.layers[path]) and not has_parts(b.layers[other])
            yield from [(path, other)] * bare


def has_parts(layer: Any) -> bool:
    """Return whether a layer has tensors or layers of its own."""
    values = [value for _, value, _ in slots_of(layer) or ()]
    return any(spec_or_none(each) is not None or slots_of(each) is not None for each in values)
