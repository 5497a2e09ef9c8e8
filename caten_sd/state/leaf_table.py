"""LeafTable: the leaves of a file by key, each made when it is first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any


class LeafTable(Mapping[str, Any]):
    """The leaves of a file by key, in order, each made when it is first asked for.

    ``make`` returns the leaf at a position. A file may hold a million leaves, and whoever opens it
    may need ten. The keys are distinct. A leaf once made is kept, since ties go by identity.

    >>> table = LeafTable(["a", "b"], lambda position: [position])
    >>> table["b"], table["b"] is table["b"], list(table)
    ([1], True, ['a', 'b'])
    """

    def __init__(self, keys: list[str], make: Callable[[int], Any]) -> None:
        self._keys, self._make = keys, make
        self._rows: dict[str, Any] | None = None  # the position of a leaf, then the leaf itself
        self._lock = threading.RLock()

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self.made(),)

    def _by_key(self) -> dict[str, Any]:
        if self._rows is None:
            with self._lock:
                positions = range(len(self._keys))
                self._rows = self._rows or dict(zip(self._keys, positions, strict=True))
        return self._rows

    def made(self) -> dict[str, Any]:
        """Return the leaves as a plain dict, all of them made."""
        rows, make = self._by_key(), self._make
        with self._lock:
            for key, row in rows.items():
                if type(row) is int:
                    rows[key] = make(row)
        return rows

    def __setitem__(self, key: str, leaf: Any) -> None:
        """Add a leaf, which is made, under a further key."""
        self._by_key()[key] = leaf

    def __getitem__(self, key: str) -> Any:
        rows = self._by_key()
        if type(leaf := rows[key]) is not int:
            return leaf
        with self._lock:
            if type(leaf := rows[key]) is int:
                leaf = rows[key] = self._make(leaf)
        return leaf

    def __contains__(self, key: object) -> bool:
        return key in self._by_key()

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys if self._rows is None else self._rows)

    def __len__(self) -> int:
        return len(self._keys if self._rows is None else self._rows)
