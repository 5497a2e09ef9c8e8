"""Files whose names and tensors are not those of the object: the layout that its library has."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import attrs

from caten_sd.errors import LayoutError, LoadError
from caten_sd.loading.load_target import LoadTarget
from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.loading.owners import FileLayout, hooks_of
from caten_sd.loading.wrapper_prefixes import shared_wrappers
from caten_sd.objects.owner import unwrap
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.state_dict import STAMP, StateDict
from caten_sd.wording import counted

if TYPE_CHECKING:  # all of mapping comes with it
    from caten_sd.mapping.gathered import Item


def under_own_names(named: NamedLeaves, target: LoadTarget) -> NamedLeaves:
    """Return the leaves of a file under the names of the slots that the object's library gives.

    A file that has every slot under its own name, in its shape, stays as it is.
    """
    files = hooks_of(unwrap(target.obj)).files
    if files is None or _is_own(named, target):
        return named
    try:
        return _converted(_without_wrappers(named, target), files, target) or named
    except LayoutError as error:
        raise LoadError(f"{error}; nothing was changed") from error


def _is_own(named: NamedLeaves, target: LoadTarget) -> bool:
    slots, leaves = target.slots.entry, named.leaves
    return leaves.keys() == slots.keys() and all(
        _shape(leaf) == _shape(slots[name]) for name, leaf in leaves.items()
    )


def _shape(leaf: Any) -> Any:
    known = spec_or_none(leaf)
    return known and known.shape


def _without_wrappers(named: NamedLeaves, target: LoadTarget) -> NamedLeaves:
    """Return the leaves without the wrapper segments that begin all of their names."""
    gone = shared_wrappers(named.leaves.keys(), target.slots.entry.keys())
    if not gone:
        return named
    short = {name: name.removeprefix(gone) for name in named.leaves}
    return attrs.evolve(
        named,
        leaves={short[name]: leaf for name, leaf in named.leaves.items()},
        keys={new: named.key(name) for name, new in short.items()},
        notes=(*named.notes, f'stripped "{gone}" from {counted(len(short), "key")}'),
    )


def _converted(named: NamedLeaves, files: FileLayout, target: LoadTarget) -> NamedLeaves | None:
    """Return the leaves in the layout of the slots, or None if they are in it."""
    layout = files.to_read(named.leaves, target.slots.entry)
    if layout is None:
        return None
    from caten_sd.mapping.axis_sizes import Numbers  # all of mapping comes with it
    from caten_sd.mapping.gathered import Item
    from caten_sd.mapping.reading import read_canonical

    items = [Item(name, leaf, name) for name, leaf in named.leaves.items()]
    made = read_canonical(layout, items, Numbers({})).items
    _refuse_two_sources(named, made)
    changed = [item for item in made if item.key != item.origin or not item.plain]
    slots = counted(len(changed), "slot is", "slots are")
    note = f"{slots} converted from the layout {layout.name}"
    return attrs.evolve(
        named,
        leaves={item.key: item.leaf for item in made},
        keys={
            item.key: named.key(item.origin) for item in made if item.key != named.key(item.origin)
        },
        notes=(*named.notes, note),
        converted=True,
    )


def _refuse_two_sources(named: NamedLeaves, made: list[Item]) -> None:
    found: dict[str, Item] = {}
    for item in made:
        if found.setdefault(item.key, item) is not item:
            one, other = named.key(found[item.key].origin), named.key(item.origin)
            raise LayoutError(
                f"{one} and {other} of the file are both {item.key} of the model; leave one of "
                f"them out"
            )


def as_library_saves(obj: Any, state: StateDict) -> StateDict:
    """Return the state of an object in the layout that its own library saves it in."""
    files = hooks_of(unwrap(obj)).files
    if files is None:
        return state
    state = _without(state, files.unsaved(state.entry))
    layout = files.to_write(state.entry)
    if layout is None:
        return state
    from caten_sd.mapping.layout_plan import to_layout  # all layouts come with it

    made = to_layout(state, layout, from_layout=layout.canonical, silent=True)
    # The layout is made of this one object's names, so no file can name it.
    metadata = {key: value for key, value in made.metadata.items() if key != STAMP}
    return made.with_entry(made.entry, paths=made.paths, ties=made.ties, metadata=metadata)


def _without(state: StateDict, keys: Collection[str]) -> StateDict:
    if not keys:
        return state
    left = {key: leaf for key, leaf in state.items() if key not in keys}
    ties = {key: first for key, first in state.ties.items() if {key, first} <= left.keys()}
    return state.with_entry(left, paths={key: state.paths[key] for key in left}, ties=ties)
