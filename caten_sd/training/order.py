"""Match positional optimizer state to parameter names where the shapes leave no doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from caten_sd.errors import LoadError
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.saved_leaf import SavedLeaf
from caten_sd.training.saved_optimizer import SavedOptimizer
from caten_sd.wording import counted, first_few

Shape = tuple[int, ...]

_FIX = (
    "nothing was changed: name them with name_positions(state_dict, names), or save a "
    "TrainingState, which knows names"
)


def proven_names(saved: SavedOptimizer, shapes: Mapping[str, Shape]) -> dict[Any, str]:
    """Return the name of each position; LoadError says how many are in doubt.

    The order is proven if no two parameters have the same shape, or if it makes no difference.
    """
    names, positions = list(shapes), saved.flat
    if len(names) != len(positions):
        raise LoadError(
            f"the file knows parameters by position only; its optimizer has "
            f"{counted(len(positions), 'parameter')} and this one {len(names)}; {_FIX}"
        )
    if not saved.state and all(group == saved.groups[0] for group in saved.groups):
        return dict(zip(positions, names, strict=True))
    known = {member: param_shape(saved.state.get(member, {})) for member in positions}
    by_shape = _by_shape(known, shapes)
    if by_shape is None:
        doubt = _doubt(positions, names, known, shapes)
        raise LoadError(f"the file knows parameters by position only; {doubt}; {_FIX}")
    return by_shape


def param_shape(slots: Mapping[str, Any]) -> Shape | None:
    """Return the shape of the parameter that has this state; None if the state does not give it.

    A moment has its parameter's shape. The factors of a moment give it together.
    """
    found = [
        spec.shape
        for name, value in slots.items()
        if name != "step" and isinstance(value, SavedLeaf) and (spec := spec_or_none(value.leaf))
    ]
    rank = max(map(len, found), default=0)
    full = [shape for shape in found if len(shape) == rank]
    axes = list(zip(*full, strict=True))
    if not full or any(len({size for size in axis if size != 1}) > 1 for axis in axes):
        return None
    return tuple(map(max, axes))


def _by_shape(
    known: Mapping[Any, Shape | None], shapes: Mapping[str, Shape]
) -> dict[Any, str] | None:
    """Return the name of each position, or None if one shape is shared or two are unknown."""
    name_of = {shape: name for name, shape in shapes.items()}
    found = [shape for shape in known.values() if shape is not None]
    if len(name_of) < len(shapes) or len(set(found)) < len(found) or len(found) < len(known) - 1:
        return None
    if not set(found) <= set(name_of):
        return None
    left = next((name for shape, name in name_of.items() if shape not in found), "")
    return {at: left if shape is None else name_of[shape] for at, shape in known.items()}


def _doubt(
    positions: Sequence[Any],
    names: Sequence[str],
    known: Mapping[Any, Shape | None],
    shapes: Mapping[str, Shape],
) -> str:
    pairs = list(zip(positions, names, strict=True))
    moved = [n for at, n in pairs if known[at] is not None and known[at] != shapes[n]]
    total = len(names)
    if moved:
        what = "changed order or shape since the save"
        return f"{len(moved)} of {total} parameters {what} ({first_few(moved, 2)})"
    count = Counter(shapes.values())
    alike = [n for at, n in pairs if count[shapes[n]] > 1 or known[at] is None]
    return (
        f"{len(alike)} of {total} parameters share their shape with others, or have no state that "
        f"shows it ({first_few(alike, 2)}), so their order is not proven"
    )
