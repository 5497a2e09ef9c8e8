"""How a message names, counts and lists things: article, singular or plural, the first of many."""

from __future__ import annotations

from collections.abc import Sequence


def a_or_an(noun: str) -> str:
    """Return the noun with its indefinite article.

    >>> a_or_an("int"), a_or_an("list"), a_or_an("uint8"), a_or_an("Unknown")
    ('an int', 'a list', 'a uint8', 'an Unknown')
    """
    vowel = noun[:1].lower() in ("a", "e", "i", "o") or noun.lower().startswith("un")
    return f"{'an' if vowel and not noun.lower().startswith('uni') else 'a'} {noun}"


def counted(count: int, one: str, many: str = "") -> str:
    """Return a count and its noun; the plural is ``one`` with an "s" unless ``many`` is given.

    >>> counted(1, "tensor"), counted(40_000, "tensor"), counted(2, "key has", "keys have")
    ('1 tensor', '40,000 tensors', '2 keys have')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def bytes_text(count: int) -> str:
    """Return a size in the largest decimal unit that gives at least 1.

    >>> bytes_text(154_389_504), bytes_text(96)
    ('154.4 MB', '96 B')
    """
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def first_few(texts: Sequence[object], most: int, noun: str = "", between: str = ", ") -> str:
    """Return the first ``most`` of these texts, and how many more there are.

    >>> first_few(["a", "b", "c", "d"], 2), first_few(["a", "b", "c"], 2, "pattern")
    ('a, b and 2 more', 'a, b and 1 more pattern')
    >>> first_few(["a, b", "c"], 1, between="; ")
    'a, b; and 1 more'
    """
    shown, rest = between.join(map(str, texts[:most])), len(texts) - most
    if rest <= 0:
        return shown
    link = " and " if between == ", " else f"{between}and "
    return shown + link + (counted(rest, f"more {noun}") if noun else f"{rest:,} more")
