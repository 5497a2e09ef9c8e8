"""Trees: nested containers of tensors and other values, as checkpoint files hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from caten_sd.errors import StateDictError
from caten_sd.state.state_dict import spec_or_none
from caten_sd.wording import counted

MAX_DEPTH = 100
MAX_NODES = 4_000_000
# Containers that share others unfold without bound; real checkpoints stay far below this.
MAX_REPEATS = 100_000


class Tree(NamedTuple):
    """A flattened tree: its root in the file, its leaves, and other values that are not tensors."""

    root: str
    leaves: dict[str, Any]
    others: dict[str, Any]

    def __str__(self) -> str:
        size = sum(known.nbytes for leaf in self.leaves.values() if (known := spec_or_none(leaf)))
        return f"{self.root!r} ({counted(len(self.leaves), 'tensor')}, {counted(size, 'byte')})"


def items(node: Any) -> Iterator[tuple[str, Any]]:
    """Yield a container's children with their names, which are indices in a list."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield str(key), value
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield str(index), value


def is_container(node: Any) -> bool:
    """Return whether a value holds others by name or index."""
    return isinstance(node, (Mapping, list, tuple))


def flatten(node: Any, root: str) -> Tree:
    """Return the tree below a node, with dotted keys in order; StateDictError without bound."""
    tree, nodes, repeats, seen = Tree(root, {}, {}), 0, 0, set()
    stack = [(name, value, 1) for name, value in reversed(list(items(node)))]
    while stack:
        key, value, depth = stack.pop()
        nodes += 1
        if depth > MAX_DEPTH or nodes > MAX_NODES or repeats > MAX_REPEATS:
            raise StateDictError(f"its containers nest or repeat without bound at {key[:80]!r}")
        if is_container(value):
            repeats += id(value) in seen and len(value) > 0
            seen.add(id(value))
            below = [(f"{key}.{name}", child, depth + 1) for name, child in items(value)]
            stack.extend(reversed(below))
            continue
        place = tree.others if spec_or_none(value) is None else tree.leaves
        if key in tree.leaves or key in tree.others:
            raise StateDictError(f"two entries give the key {key!r}")
        place[key] = value
    return tree
