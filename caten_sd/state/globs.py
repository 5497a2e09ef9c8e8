"""Glob patterns that choose keys: each is matched with a whole key, and ``*`` crosses dots."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from fnmatch import translate

from caten_sd.errors import StateDictError
from caten_sd.errors.printable import one_line
from caten_sd.state.grouping import LONGEST_KEY, few_keys
from caten_sd.state.keys import INDEX_SEGMENT
from caten_sd.wording import a_or_an

Patterns = str | Iterable[str]

_MOST = 2000  # keys to look for near ones among
_SHOWN = 3


def chosen_keys(
    keys: Collection[str], patterns: Patterns = (), exclude: Patterns = ()
) -> list[str]:
    """Return the keys that match one of the patterns, if there are any, and none of ``exclude``.

    StateDictError if a pattern matches no key.

    >>> chosen_keys(["h.0.w", "h.0.b", "wte"], "h.*", exclude="*.b")
    ['h.0.w']
    """
    wanted, unwanted = _listed(patterns), _listed(exclude)
    taken, left_out = _matching(keys, wanted), _matching(keys, unwanted)
    return [key for key in keys if (not wanted or key in taken) and key not in left_out]


def near_keys(pattern: str, keys: Collection[str]) -> str:
    """Return what a message says of the keys where a pattern matches none of them.

    >>> near_keys("h.*.atn.w", ["h.0.attn.w", "h.1.attn.w", "wte"]), near_keys("x", ["wte", "b"])
    ('near it is h.*.attn.w', 'the keys are wte, b')
    """
    from difflib import get_close_matches

    kinds = list(dict.fromkeys(INDEX_SEGMENT.sub("*", key) for key in keys))[:_MOST]
    near = get_close_matches(INDEX_SEGMENT.sub("*", pattern), kinds, n=_SHOWN)
    if near:
        shown = ", ".join(one_line(each, LONGEST_KEY) for each in near)
        return f"near it {'is' if len(near) == 1 else 'are'} {shown}"
    return f"the keys are {few_keys(keys, _SHOWN)}" if keys else "there are no keys"


def _listed(patterns: Patterns) -> list[str]:
    return [patterns] if isinstance(patterns, str) else list(patterns)


def _matching(keys: Collection[str], patterns: list[str]) -> set[str]:
    found: set[str] = set()
    for pattern in patterns:
        if not isinstance(pattern, str):
            kind = a_or_an(type(pattern).__name__)
            raise StateDictError(f"a pattern of keys is a text, not {kind}; give each by itself")
        matched = set(filter(re.compile(translate(pattern)).match, keys))
        if not matched:
            raise StateDictError(f"no key matches the pattern {pattern!r}; {_hint(pattern, keys)}")
        found |= matched
    return found


def _hint(pattern: str, keys: Collection[str]) -> str:
    start = f"{pattern.rstrip('.')}."
    if any(key.startswith(start) for key in keys):
        return f"for the keys below it write {start + '*'!r}"
    return near_keys(pattern, keys)
