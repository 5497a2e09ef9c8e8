"""A layout for a whole training state: moments follow their weights, through the same steps.

What becomes of each parameter is found out once, with leaves that stand for the weights, and done
again with each slot of the optimizer's state in their place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from caten_sd.errors import LayoutError
from caten_sd.state.compare import same_values
from caten_sd.state.derived import Derived, derive
from caten_sd.state.leaf import Spec, spec
from caten_sd.state.plain_values import SavedLeaf, bare, read_tree, tree_pairs
from caten_sd.state.state_dict import StateDict, spec_or_none
from caten_sd.state.steps import Permute, Shift
from caten_sd.state.training_keys import MODEL, VALUES, model_part

OPTIMIZER = "optimizer"
# Rows and columns of a factored moment, torch's and transformers': a transpose swaps them.
_FACTORED = {"row_var": "col_var", "exp_avg_sq_row": "exp_avg_sq_col"}
_SWAPPED = {**_FACTORED, **{col: row for row, col in _FACTORED.items()}}

_END_TO_END = {"LBFGS"}

Mapper = Callable[[StateDict], Any]


@attrs.frozen(eq=False)
class Placeholder:
    """Stands for a parameter on its way through a layout."""

    name: str
    known: Spec


@spec.register(Placeholder)
def _spec(stand: Placeholder, /) -> Spec:
    return stand.known


def training_in_layout(state: StateDict, model: StateDict, again: Mapper) -> StateDict:
    """Return a training state whose model's part is already in its layout, with the rest of it.

    ``again`` maps a state dict as the model was mapped. LayoutError where a slot cannot follow.
    """
    rest = {key: leaf for key, leaf in state.items() if not key.startswith(MODEL)}
    if f"{OPTIMIZER}.{VALUES}" in rest:
        start = f"{OPTIMIZER}."
        pairs = _optimizer_pairs(state, again)
        rest = {
            **{".".join(map(str, path)): leaf for path, leaf in pairs},
            **{key: leaf for key, leaf in rest.items() if not key.startswith(start)},
        }
    entry = {**{f"{MODEL}{key}": leaf for key, leaf in model.items()}, **rest}
    return state.with_entry(entry, metadata=model.metadata)


def _optimizer_pairs(state: StateDict, again: Mapper) -> list[Any]:
    tree = read_tree(state.entry, OPTIMIZER)
    part = model_part(state)
    stands = {key: Placeholder(key, spec(leaf)) for key, leaf in part.items() if spec_or_none(leaf)}
    stands.update((key, stands[first]) for key, first in part.ties.items() if first in stands)
    mapped: StateDict = again(StateDict(stands))
    ways = {key: leaf for key, leaf in mapped.items() if key not in mapped.ties}
    _refuse_ends(tree.get("class", ""), ways)
    followed = _Followed(tree["state"], ways)
    groups = [
        {**group, "params": followed.members(group["params"], stands)}
        for group in tree["param_groups"]
    ]
    members = [name for group in groups for name in group["params"]]
    new = {name: followed.slots(name) for name in members if name in ways}
    kept = {name: slots for name, slots in tree["state"].items() if name not in stands}
    slots = {name: slots for name, slots in {**new, **kept}.items() if slots}
    return tree_pairs(bare({**tree, "param_groups": groups, "state": slots}), [OPTIMIZER])


def _refuse_ends(kind: str, ways: Mapping[str, Any]) -> None:
    """Refuse an optimizer whose state is of all parameters laid end to end."""
    if kind in _END_TO_END and any(isinstance(way, Derived) for way in ways.values()):
        raise LayoutError(
            f"the state of {kind} is of all parameters laid end to end, and cannot follow those "
            f"that change; map the model alone, read with root='model'"
        )


@attrs.frozen
class _Followed:
    """The optimizer's state on the way that each parameter takes: ``ways`` by its new name."""

    state: Mapping[str, Mapping[str, Any]]
    ways: Mapping[str, Any]

    def members(self, names: Sequence[str], stands: Mapping[str, Placeholder]) -> list[str]:
        """Return the new names of a group, in its order: all that its parameters become, once."""
        firsts: dict[str, list[str]] = {}
        for new, way in self.ways.items():
            sources = [stand.name for stand in _stands(way)]
            inside = [name in names for name in sources]
            if any(inside) and not all(inside):
                raise LayoutError(
                    f"{' and '.join(sources)} become {new}, and are not in one group of the "
                    f"optimizer; map the model alone, read with root='model'"
                )
            firsts.setdefault(sources[0], []).append(new)
        return [
            new for name in names for new in (firsts.get(name, []) if name in stands else [name])
        ]

    def slots(self, new: str) -> dict[str, Any]:
        """Return the state of a parameter under its new name."""
        way = self.ways[new]
        sources = [stand.name for stand in _stands(way)]
        states = [self.state.get(name, {}) for name in sources]
        if len({tuple(sorted(state)) for state in states}) > 1:
            raise LayoutError(
                f"{' and '.join(sources)} become {new}, and the optimizer has state of another "
                f"kind for each; map the model alone, read with root='model'"
            )
        return {slot: self._slot(new, slot, way) for slot in states[0]}

    def _slot(self, new: str, slot: str, way: Any) -> Any:
        stands = list(_stands(way))
        values = [self.state[stand.name][slot] for stand in stands]
        if isinstance(way, Placeholder):
            return values[0]
        if slot in _SWAPPED and _turns(way):
            return self._turned(stands[0].name, slot)
        if all(map(_is_single, values)):
            return self._agreed(new, slot, values)
        for stand, value in zip(stands, values, strict=True):
            shape = _shape(value)
            if slot in _SWAPPED or shape != stand.known.shape:
                raise LayoutError(
                    f"{slot} of {stand.name} is {shape or type(value).__name__}, which does not "
                    f"say how it follows its parameter, {stand.known.shape}, to {new}; map the "
                    f"model alone, read with root='model'"
                )
        return _done(way, {stand.name: v.leaf for stand, v in zip(stands, values, strict=True)})

    def _turned(self, name: str, slot: str) -> Any:
        """Return the other factor of a moment, as the transposed parameter has it here."""
        leaf = self.state[name][_SWAPPED[slot]].leaf
        return leaf if len(spec(leaf).shape) == 1 else derive(Permute((1, 0)), [leaf])

    def _agreed(self, new: str, slot: str, values: Sequence[Any]) -> Any:
        """Return the one number that all have, as parameters that become one must agree."""
        if all(_same(values[0], value) for value in values[1:]):
            return values[0]
        raise LayoutError(
            f"the parameters that become {new} differ in their {slot}; map the model alone, read "
            f"with root='model'"
        )


def _stands(leaf: Any) -> Iterator[Placeholder]:
    if isinstance(leaf, Placeholder):
        yield leaf
    elif isinstance(leaf, Derived):
        for part in leaf.leaves:
            yield from _stands(part)


def _turns(way: Any) -> bool:
    """Tell a plain transpose of a matrix."""
    return isinstance(way, Derived) and way.step == Permute((1, 0)) and all(
        isinstance(part, Placeholder) for part in way.leaves
    )  # fmt: skip


def _done(way: Any, leaves: Mapping[str, Any]) -> Any:
    """Return what the same steps make of other leaves; a number added to a weight moves none."""
    if isinstance(way, Placeholder):
        return leaves[way.name]
    parts = [_done(part, leaves) for part in way.leaves]
    return parts[0] if isinstance(way.step, Shift) else derive(way.step, parts)


def _shape(value: Any) -> tuple[int, ...] | None:
    known = spec_or_none(value.leaf) if isinstance(value, SavedLeaf) else None
    return known and known.shape


def _is_single(value: Any) -> bool:
    return not isinstance(value, SavedLeaf) or _shape(value) == ()


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, SavedLeaf) and isinstance(other, SavedLeaf):
        return same_values(one.leaf, other.leaf)
    return type(one) is type(other) and bool(one == other)
