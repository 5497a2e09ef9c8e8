"""Trees: nested containers of tensors and other values, as checkpoint files hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from caten_sd.errors import StateDictError
from caten_sd.state.leaf import Opaque, are_plain, spec_or_none
from caten_sd.state.leaf_table import LeafTable
from caten_sd.wording import counted

MAX_DEPTH = 100
MAX_KEY = 1000  # characters of a key that is not text
MAX_PREFIXES = 64 << 20  # characters that nesting adds to keys: a long name over many leaves
MAX_NODES = 4_000_000
# Containers that share others unfold without bound; real checkpoints stay far below this.
MAX_REPEATS = 100_000
MANY_VALUES = 1000  # a longer list without tensors is one value: each key takes 150 bytes

SHORT = 16  # of lists so short, it is faster to look at the values again than to remember


class Tree(NamedTuple):
    """A flattened tree: its root in the file, its leaves, and other values that are not tensors."""

    root: str
    leaves: Mapping[str, Any]
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


def _is_empty(value: Any) -> bool:
    """Return whether a value is an empty container, of which a file may hold millions."""
    return type(value) in (dict, list, tuple) and not value


def _repeated(value: Any) -> int:
    """Return how many containers a value holds that it holds already."""
    children = value.values() if isinstance(value, Mapping) else value
    held = [id(child) for child in children if is_container(child) and not _is_empty(child)]
    return len(held) - len(set(held))


def is_table(value: list[Any] | tuple[Any, ...]) -> bool:
    """Return whether a list holds plain values, or short lists and dicts of plain values."""
    if are_plain(value):
        return True
    rows = (row.values() if type(row) is dict else row for row in value if type(row) in _ROWS)
    others = (row for row in value if type(row) not in _ROWS)
    return are_plain([*others]) and all(len(row) <= SHORT and are_plain(row) for row in rows)


_ROWS = (dict, list, tuple)


class _Bounds:
    """Counts what containers unfold to; StateDictError beyond what real checkpoints need."""

    def __init__(self) -> None:
        self._nodes = self._repeats = self._prefixes = 0
        self._seen: set[int] = set()
        self._tables: dict[int, bool] = {}
        self._rows: set[int] = set()  # long rows of tables

    def is_table(self, value: Any) -> bool:
        """Return whether a value is a list of so many plain ones that it is one value itself."""
        if type(value) not in (list, tuple) or len(value) <= MANY_VALUES:
            return False
        if (known := self._tables.get(id(value))) is None:
            known = self._tables[id(value)] = is_table(value) or self._has_new_rows(value)
        return known

    def _has_new_rows(self, value: list[Any] | tuple[Any, ...]) -> bool:
        """Return whether a list holds long rows of plain values that no other table has.

        Rows that tables share unfold without bound, and looking at them again takes time.
        """
        rows = {id(row): row for row in value if type(row) in (list, tuple)}
        if len(rows) < len(value) or not self._rows.isdisjoint(rows):
            return False
        self._rows.update(rows)
        return all(map(are_plain, rows.values()))

    def enter(self, key: str, depth: int, value: Any) -> None:
        """Count a container that is this deep in the tree, and all that it holds."""
        if depth > MAX_DEPTH:
            raise StateDictError(f"it nests more than {MAX_DEPTH} deep at {key[:80]!r}")
        self._nodes += len(value)
        self._repeats += id(value) in self._seen and len(value) > 0
        self._seen.add(id(value))
        self._prefixes += (len(key) + 1) * len(value)
        # Those of a long list are counted before its keys are made, which take 150 bytes each.
        repeats = self._repeats + (_repeated(value) if len(value) > MAX_REPEATS else 0)
        for count, most, what in (
            (self._nodes, MAX_NODES, "unfolds to over {:,} entries"),
            (repeats, MAX_REPEATS, "holds over {:,} containers that it already holds"),
            (self._prefixes, MAX_PREFIXES, "has keys that take over {:,} characters"),
        ):
            if count > most:
                raise StateDictError(f"it {what.format(most)}, at {key[:80]!r}")


def flatten(node: Any, root: str) -> Tree:
    """Return the tree below a node, with dotted keys in order; StateDictError without bound.

    Empty containers are left out. A list of over 1,000 plain values, or rows of them, is one
    value.
    """
    leaves: dict[str, Any] = {}
    tree, bounds = Tree(root, leaves, {}), _Bounds()
    if isinstance(node, LeafTable):
        bounds.enter("", 0, node)
        return tree._replace(leaves=node)
    stack = [("", node, 0)] if is_container(node) else []
    while stack:
        key, value, depth = stack.pop()
        whole = bounds.is_table(value)
        if is_container(value) and not whole:
            bounds.enter(key, depth, value)
            start = f"{key}." if depth else ""
            below = [
                (start + name, child, depth + 1)
                for name, child in items(value)
                if not _is_empty(child)
            ]
            stack.extend(reversed(below))
            continue
        place = tree.others if whole or spec_or_none(value) is None else leaves
        if key in leaves or key in tree.others:
            raise StateDictError(f"two entries give the key {key!r}")
        place[key] = value
    return tree
