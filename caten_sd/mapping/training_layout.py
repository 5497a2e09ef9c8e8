"""Apply a layout to a whole training state, so that moments follow their weights.

The layout runs once on placeholders for the parameters. The steps that it records are then replayed
on every slot of the optimizer's state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import attrs

from caten_sd.errors import LayoutError
from caten_sd.state.derived import Derived, derive
from caten_sd.state.leaf import Spec, spec, spec_or_none
from caten_sd.state.padding_steps import Padded
from caten_sd.state.plain_values import read_tree, tree_pairs
from caten_sd.state.saved_leaf import SavedLeaf, bare, same_value
from caten_sd.state.state_dict import StateDict
from caten_sd.state.steps import Permute, Shape
from caten_sd.state.training_keys import MODEL, VALUES, model_state
from caten_sd.state.value_steps import Shift, ValueStep

OPTIMIZER = "optimizer"
# Rows and columns of a factored moment, torch's and transformers': a transpose swaps them.
_FACTORED = {"row_var": "col_var", "exp_avg_sq_row": "exp_avg_sq_col"}
_SWAPPED = {**_FACTORED, **{col: row for row, col in _FACTORED.items()}}

_END_TO_END = {"LBFGS"}

_REMEDY = "convert the model alone, read with root='model' or --root model"

ApplyLayout = Callable[[StateDict], StateDict]


@attrs.frozen(eq=False)
class Placeholder:
    """Takes the place of a parameter while the layout runs."""

    name: str
    known: Spec


@spec.register(Placeholder)
def _spec(placeholder: Placeholder, /) -> Spec:
    return placeholder.known


def training_in_layout(state: StateDict, model: StateDict, apply_layout: ApplyLayout) -> StateDict:
    """Return a training state in the layout that its model, ``model``, is in already.

    ``apply_layout`` is what the model was mapped by. LayoutError where a slot cannot follow.
    """
    rest = {key: leaf for key, leaf in state.items() if not key.startswith(MODEL)}
    if f"{OPTIMIZER}.{VALUES}" in rest:
        start = f"{OPTIMIZER}."
        pairs = _optimizer_pairs(state, apply_layout)
        rest = {
            **{".".join(map(str, path)): leaf for path, leaf in pairs},
            **{key: leaf for key, leaf in rest.items() if not key.startswith(start)},
        }
    entry = {**{f"{MODEL}{key}": leaf for key, leaf in model.items()}, **rest}
    return state.with_entry(entry, metadata=model.metadata)


def _optimizer_pairs(state: StateDict, apply_layout: ApplyLayout) -> list[Any]:
    tree = read_tree(state.entry, OPTIMIZER)
    placeholders = _placeholders(model_state(state))
    mapped = apply_layout(StateDict(placeholders))
    recipes = {key: leaf for key, leaf in mapped.items() if key not in mapped.ties}
    _refuse_end_to_end(tree.get("class", ""), recipes)
    replay = _Replay(tree["state"], recipes)
    groups = [
        {**group, "params": replay.members(group["params"], placeholders)}
        for group in tree["param_groups"]
    ]
    members = [name for group in groups for name in group["params"]]
    new = {name: replay.slots(name) for name in members if name in recipes}
    kept = {name: slots for name, slots in tree["state"].items() if name not in placeholders}
    slots = {name: slots for name, slots in {**new, **kept}.items() if slots}
    return tree_pairs(bare({**tree, "param_groups": groups, "state": slots}), [OPTIMIZER])


def _placeholders(model: StateDict) -> dict[str, Placeholder]:
    found = {key: Placeholder(key, spec(leaf)) for key, leaf in model.items() if spec_or_none(leaf)}
    found.update((key, found[first]) for key, first in model.ties.items() if first in found)
    return found


def _refuse_end_to_end(kind: str, recipes: Mapping[str, Any]) -> None:
    """Refuse an optimizer whose state is one vector of all parameters, if any of them changes."""
    if kind in _END_TO_END and any(isinstance(recipe, Derived) for recipe in recipes.values()):
        raise LayoutError(
            f"the state of {kind} is one vector of all parameters end to end, and cannot follow "
            f"parameters that change; {_REMEDY}"
        )


@attrs.frozen
class _Replay:
    """Replays what the layout did to the parameters on the optimizer's ``state``.

    ``recipes`` holds what became of the placeholders, under the new names of the parameters.
    """

    state: Mapping[str, Mapping[str, Any]]
    recipes: Mapping[str, Any]

    def members(self, names: Sequence[str], placeholders: Mapping[str, Placeholder]) -> list[str]:
        """Return the new names of a group in its order, each once."""
        new_names: dict[str, list[str]] = {}
        for new, recipe in self.recipes.items():
            sources = [placeholder.name for placeholder in _sources(recipe)]
            if not sources:
                raise LayoutError(
                    f"{new} is made by the layout and has no state in the optimizer; {_REMEDY}"
                )
            in_group = [name in names for name in sources]
            if any(in_group) and not all(in_group):
                raise LayoutError(
                    f"{' and '.join(sources)} become {new}, and are not in one group of the "
                    f"optimizer; {_REMEDY}"
                )
            new_names.setdefault(sources[0], []).append(new)
        return [
            new
            for name in names
            for new in (new_names.get(name, []) if name in placeholders else [name])
        ]

    def slots(self, new: str) -> dict[str, Any]:
        """Return the state of the parameter with this new name."""
        recipe = self.recipes[new]
        sources = [placeholder.name for placeholder in _sources(recipe)]
        states = [self.state.get(name, {}) for name in sources]
        if len({tuple(sorted(state)) for state in states}) > 1:
            raise LayoutError(
                f"{' and '.join(sources)} become {new}, and the optimizer has other slots for one "
                f"than for another; {_REMEDY}"
            )
        return {slot: self._slot(new, slot, recipe) for slot in states[0]}

    def _slot(self, new: str, slot: str, recipe: Any) -> Any:
        sources = list(_sources(recipe))
        values = [self.state[source.name][slot] for source in sources]
        if isinstance(recipe, Placeholder):
            return values[0]
        if slot in _SWAPPED and _is_transpose(recipe):
            return self._other_factor(sources[0].name, slot)
        if all(map(_is_single, values)):
            return _agreed(new, slot, values)
        for source, value in zip(sources, values, strict=True):
            shape = _shape(value)
            if slot in _SWAPPED or shape != source.known.shape:
                raise LayoutError(
                    f"{slot} of {source.name} is {shape or type(value).__name__}, which does not "
                    f"say how it follows its parameter, {source.known.shape}, to {new}; {_REMEDY}"
                )
        return _replayed(recipe, {s.name: v.leaf for s, v in zip(sources, values, strict=True)})

    def _other_factor(self, name: str, slot: str) -> Any:
        """Return the other factor of a moment, which the transposed parameter has in this slot."""
        leaf = self.state[name][_SWAPPED[slot]].leaf
        return leaf if len(spec(leaf).shape) == 1 else derive(Permute((1, 0)), [leaf])


def _agreed(new: str, slot: str, values: Sequence[Any]) -> Any:
    """Return the one number that parameters which become one have in a slot."""
    if all(same_value(values[0], value) for value in values[1:]):
        return values[0]
    raise LayoutError(f"the parameters that become {new} differ in their {slot}; {_REMEDY}")


def _sources(recipe: Any) -> Iterator[Placeholder]:
    if isinstance(recipe, Placeholder):
        yield recipe
    elif isinstance(recipe, Derived):
        for leaf in recipe.leaves:
            yield from _sources(leaf)


def _is_transpose(recipe: Any) -> bool:
    """Return whether a recipe only transposes a matrix."""
    if not isinstance(recipe, Derived) or recipe.step != Permute((1, 0)):
        return False
    return all(isinstance(leaf, Placeholder) for leaf in recipe.leaves)


def _replayed(recipe: Any, leaves: Mapping[str, Any]) -> Any:
    """Return what the recipe makes of other leaves; a number added to a weight moves no moment."""
    if isinstance(recipe, Placeholder):
        return leaves[recipe.name]
    made = [_replayed(leaf, leaves) for leaf in recipe.leaves]
    if isinstance(recipe.step, Shift):
        return made[0]
    if isinstance(recipe.step, Padded):  # what was never there has never moved
        return derive(replace(recipe.step, value=0.0), made)
    if isinstance(recipe.step, ValueStep):
        raise LayoutError(
            f"the layout computes new values of a parameter, {recipe.step}, which its optimizer's "
            f"state cannot follow; {_REMEDY}"
        )
    return derive(recipe.step, made)


def _shape(value: Any) -> Shape | None:
    known = spec_or_none(value.leaf) if isinstance(value, SavedLeaf) else None
    return known and known.shape


def _is_single(value: Any) -> bool:
    return not isinstance(value, SavedLeaf) or _shape(value) == ()
