"""Read the items of an Orbax checkpoint: the tree of each, with its arrays as leaves."""

from __future__ import annotations

from typing import Any

from caten_sd.errors import FormatError
from caten_sd.files.format import Contents, Format
from caten_sd.files.sidecar import EMPTY, RECORD, Sidecar, parse_sidecar
from caten_sd.formats.orbax.folder_below import FolderBelow
from caten_sd.formats.orbax.orbax_arrays import ArrayLeaves, store_of
from caten_sd.formats.orbax.orbax_steps import METADATA, find_items
from caten_sd.formats.orbax.orbax_texts import other_items, saved_strings
from caten_sd.formats.orbax.orbax_tree import SavedTree, SavedValue, flat_items, read_tree
from caten_sd.state.header_memory import HeaderMemory


def read_orbax(format: Format, folder: FolderBelow) -> Contents:
    """Return the items of a folder, or of the newest of its steps."""
    found = find_items(folder)
    parts = {name: _item(below) for name, below in found.items.items()}
    origin = ", ".join(filter(None, (format.name, found.step)))
    if len(parts) > 1:
        tree = {name: contents.tree for name, contents in parts.items()}
        return Contents(tree, {}, origin=origin, rest=other_items(found))
    ((name, contents),) = parts.items()
    origin += f", its item {name}" * (name not in ("", "default"))
    return contents._replace(origin=origin, rest=other_items(found))


def _item(folder: FolderBelow) -> Contents:
    source = folder.member(METADATA)
    memory = HeaderMemory(folder.name, source.size)
    saved = read_tree(source)
    leaves = ArrayLeaves(
        folder, store_of(folder, memory, is_ocdbt=saved.is_ocdbt), memory, sparse=saved.sparse
    )
    text = saved.custom.get(RECORD)
    record = parse_sidecar(str(text).encode(), source.name) if text is not None else EMPTY
    strings = saved_strings(folder, saved)
    tree: dict[str, Any] = {}
    for value in saved.values:
        if value.is_stored or value.kind == "None":
            leaf = strings.get(value.name) if value.name in strings else _leaf(leaves, value)
            _put(folder, tree, value, leaf)
    return _with_record(folder, tree, record, saved)


def _leaf(leaves: ArrayLeaves, value: SavedValue) -> Any:
    return leaves.leaf(value.name) if value.is_stored else None


def _put(folder: FolderBelow, tree: dict[str, Any], value: SavedValue, leaf: Any) -> None:
    *parents, last = value.path or ("",)
    node: Any = tree
    for parent in parents:
        node = node.setdefault(parent, {}) if isinstance(node, dict) else node
    if not isinstance(node, dict) or last in node:
        problem = f"the path of {value.name!r} in the saved tree collides with another's"
        raise FormatError(folder.name, problem, "it is damaged, so get it again")
    node[last] = leaf


def _with_record(
    folder: FolderBelow, tree: dict[str, Any], record: Sidecar, saved: SavedTree
) -> Contents:
    """Return what an item holds; where we wrote it, with its ties and in the order of its keys."""
    metadata = {name: each for name, each in saved.custom.items() if name != RECORD}
    metadata.update(record.metadata)
    if not record.ties and not record.keys:
        return Contents(tree, metadata, whole=record.whole)
    flat = dict(flat_items(tree))
    if record.keys and set(record.keys) != set(flat):
        problem = f"its keys are not those that its {RECORD} lists"
        raise FormatError(folder.name, problem, "get it again")
    ordered = {key: flat[key] for key in record.keys or flat}
    record.add_ties(ordered, folder.name)
    return Contents(ordered, metadata, record.ties or None, whole=record.whole)
