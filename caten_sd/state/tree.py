"""Trees: nested containers of tensors and other values, as checkpoint files hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from caten_sd.errors import StateDictError
from caten_sd.state.leaf import Opaque
from caten_sd.state.state_dict import spec_or_none
from caten_sd.wording import counted

MAX_DEPTH = 100
MAX_KEY = 1000  # characters of a key that is not text
MAX_PREFIXES = 64 << 20  # characters that nesting adds to keys: a long name over many leaves
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


def key_text(key: Any) -> str:
    """Return a key of a file's mapping as text, in time that does not depend on what it holds.

    >>> key_text(3), key_text(("a", 1)), key_text(("a", ("b",)))
    ('3', "('a', 1)", 'tuple')
    """
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, (bool, float, complex)):
        return str(key)
    if isinstance(key, int):
        return str(key) if key.bit_length() <= 64 else f"int of {key.bit_length()} bits"
    if type(key) is tuple and len(key) <= 8 and all(type(each) in (str, int) for each in key):
        return str(key)[:MAX_KEY]
    return key.name[:MAX_KEY] if isinstance(key, Opaque) else type(key).__name__


def items(node: Any) -> Iterator[tuple[str, Any]]:
    """Yield a container's children with their names, which are indices in a list."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield key_text(key), value
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield str(index), value


def is_container(node: Any) -> bool:
    """Return whether a value holds others by name or index."""
    return isinstance(node, (Mapping, list, tuple))


def flatten(node: Any, root: str) -> Tree:
    """Return the tree below a node, with dotted keys in order; StateDictError without bound."""
    tree, nodes, repeats, prefixes, seen = Tree(root, {}, {}), 0, 0, 0, set()
    stack = [(name, value, 1) for name, value in reversed(list(items(node)))]
    while stack:
        key, value, depth = stack.pop()
        nodes += 1
        if depth > MAX_DEPTH or nodes > MAX_NODES or repeats > MAX_REPEATS:
            raise StateDictError(f"its containers nest or repeat without bound at {key[:80]!r}")
        if is_container(value):
            repeats += id(value) in seen and len(value) > 0
            seen.add(id(value))
            prefixes += (len(key) + 1) * len(value)
            if prefixes > MAX_PREFIXES:
                raise StateDictError(
                    f"its keys would take over {MAX_PREFIXES} characters, at {key[:80]!r}"
                )
            below = [(f"{key}.{name}", child, depth + 1) for name, child in items(value)]
            stack.extend(reversed(below))
            continue
        place = tree.others if spec_or_none(value) is None else tree.leaves
        if key in tree.leaves or key in tree.others:
            raise StateDictError(f"two entries give the key {key!r}")
        place[key] = value
    return tree
