"""What files hold besides the tensors of the model, such as all outside the chosen tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caten_sd.state.keys import joined_key
from caten_sd.state.tree import items


def outside_root(contents: Any, root: str) -> dict[str, Any]:
    """Return what the tree at ``root`` does not contain, by dotted path and nested as in the file.

    >>> outside_root({"model": {"net": {"w": 1}, "step": 5}, "epoch": 3}, "model.net")
    {'epoch': 3, 'model.step': 5}
    """
    found: dict[str, Any] = {}
    node, at = contents, ""
    while node is not None and at != root:
        children = {joined_key(at, name): child for name, child in items(node)}
        ancestors = [path for path in children if root == path or root.startswith(f"{path}.")]
        chosen = max(ancestors, key=len, default=root)
        below_root = f"{root}."  # the root may be the start of dotted keys and not a node
        found |= {
            path: child
            for path, child in children.items()
            if path != chosen and not path.startswith(below_root)
        }
        node, at = children.get(chosen), chosen
    return found


def add_named(found: dict[str, Any], more: Mapping[str, Any], file: str) -> None:
    """Add what one file of several holds; by the file's name too, if another file has it."""
    for key, value in more.items():
        found[f"{file}: {key}" if key in found else key] = value
