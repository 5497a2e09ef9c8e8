"""Hooks for ``json``: one for values that it cannot write, one for names that it reads twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def plain(value: Any) -> Any:
    """Return a value that JSON lacks as one it has, for ``json.dumps(..., default=plain)``.

    >>> import json
    >>> json.dumps({"sizes": range(3), "at": 1j}, default=plain)
    '{"sizes": [0, 1, 2], "at": "1j"}'
    """
    return list(value) if isinstance(value, Sequence) else str(value)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of a JSON object, for ``json.loads(..., object_pairs_hook=unique)``.

    ValueError if a name is given twice; json alone would take the last one.

    >>> unique([("a", 1), ("b", 2)])
    {'a': 1, 'b': 2}
    """
    members = dict(pairs)
    if len(members) < len(pairs):
        # Each name is taken out when it is met; one that is not there any more is met again.
        twice = next(name for name, _ in pairs if members.pop(name, pairs) is pairs)
        raise ValueError(f"{twice!r} is given twice")
    return members
