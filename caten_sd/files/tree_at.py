"""Find a node of a nested checkpoint by its dotted root."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caten_sd.errors import FormatError
from caten_sd.state.tree import items
from caten_sd.wording import first_few


def tree_at(contents: Any, root: str, source: str) -> Any:
    """Return the node at a dotted root; FormatError if there is none.

    If several keys match the root, because keys contain dots too, the longest is taken.

    >>> tree_at({"ema": {"net.0": {"w": 1}}}, "ema.net.0", "run.pt")
    {'w': 1}
    """
    node, left = contents, root
    while left:
        children = dict(items(node))
        names = [name for name in children if left == name or left.startswith(name + ".")]
        if not names and (found := _with_prefix(children, f"{left}.")):
            return found
        if not names:
            known = _trees(children, root[: len(root) - len(left)])
            raise FormatError(source, f"it has no tree {root!r}", f"its trees are {known}")
        name = max(names, key=len)
        node, left = children[name], left[len(name) + 1 :]
    return node


def _trees(children: Mapping[str, Any], parent: str) -> str:
    """Return the roots that can be asked for; a dotted key gives where it begins."""
    roots = dict.fromkeys(parent + name.partition(".")[0] for name in children)
    return first_few(list(roots), 20) or "none"


def _with_prefix(children: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the children whose dotted keys begin so, as a training state keeps its model."""
    start = len(prefix)
    return {name[start:]: child for name, child in children.items() if name.startswith(prefix)}
