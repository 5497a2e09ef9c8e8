"""What a checkpoint holds besides arrays: texts in its tree, and items that are JSON."""

from __future__ import annotations

from typing import Any

from caten_sd.errors import FormatError
from caten_sd.formats.orbax.folder_below import FolderBelow
from caten_sd.formats.orbax.orbax_steps import METADATA, ItemsFound
from caten_sd.formats.orbax.orbax_tree import SavedTree
from caten_sd.state.json_text import parse_json

_STRINGS = "_strings.json"
_OF_JSON = "metadata"  # the file of an item that JsonSave writes
_MOST_TEXT = 16 << 20  # bytes


def saved_strings(folder: FolderBelow, saved: SavedTree) -> dict[str, Any]:
    """Return the texts of a tree by name."""
    names = {each.name for each in saved.values if each.kind == "string"}
    if not names:
        return {}
    found = _json(folder, _STRINGS)
    if not isinstance(found, dict) or not names <= found.keys():
        problem = f"its {_STRINGS} lacks texts that its {METADATA} lists"
        raise FormatError(folder.name, problem, "get all files of the folder again")
    return {name: found[name] for name in names}


def other_items(found: ItemsFound) -> dict[str, Any]:
    """Return the items that are JSON, by name: those of JsonSave, and the metrics of a step."""
    if "" in found.items:
        return {}
    names = [name for name in found.folder.folders() if name not in found.items]
    files = ((name, file) for name in names for file in (_OF_JSON, name))
    places = {name: found.folder.below(name) for name in names}
    return {name: _json(places[name], file) for name, file in files if places[name].has(file)}


def _json(folder: FolderBelow, name: str) -> Any:
    if not folder.has(name):
        problem = f"its file {name} is missing"
        raise FormatError(folder.name, problem, "get all files of the folder again")
    source = folder.member(name)
    try:
        return parse_json(source.name, source.head(_MOST_TEXT))
    except (ValueError, RecursionError):
        raise FormatError(source.name, "it is not JSON", "get it again") from None
