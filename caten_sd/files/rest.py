"""What lies in a nested checkpoint beside the tree that was taken from it."""

from __future__ import annotations

from typing import Any

from caten_sd.state.keys import joined_key
from caten_sd.state.tree import items


def beside(contents: Any, root: str) -> dict[str, Any]:
    """Return what stands next to the way to ``root``, under its own root, as it is in the file.

    >>> beside({"model": {"net": {"w": 1}, "step": 5}, "epoch": 3}, "model.net")
    {'epoch': 3, 'model.step': 5}
    """
    found: dict[str, Any] = {}
    node, at = contents, ""
    while node is not None and at != root:
        children = {joined_key(at, name): child for name, child in items(node)}
        way = [path for path in children if root == path or root.startswith(f"{path}.")]
        chosen = max(way, key=len, default=root)
        below = f"{root}."  # where the root is a beginning of dotted keys, not a node
        found |= {
            path: child
            for path, child in children.items()
            if path != chosen and not path.startswith(below)
        }
        node, at = children.get(chosen), chosen
    return found
