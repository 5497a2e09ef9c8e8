"""Text for the screen: sizes, values, and texts that are too long for a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from caten_sd.errors import CatenError
from caten_sd.errors.printable import printable
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.tree import flatten
from caten_sd.wording import counted, first_few


def cut(text: str, width: int) -> str:
    """Return the text on one line of at most ``width`` characters, with control codes escaped.

    >>> cut("a long\\nline", 8)
    'a long …'
    """
    shown = text[: 4 * width]
    line = printable(" ".join(shown.split()))
    return line if len(line) <= width and shown == text else line[: width - 1] + "…"


def few(texts: Sequence[str], width: int) -> str:
    """Return as many texts as have room on one line, and how many more there are.

    >>> few(["epoch = 3", "step = 7", "args (12 values)"], 20)
    'epoch = 3, step = 7 and 1 more'
    """
    shown = 1
    while shown < len(texts) and len(", ".join(texts[: shown + 1])) <= width:
        shown += 1
    return first_few(texts, shown)


def value_text(name: str, value: Any) -> str:
    """Return a name and what the file holds under it, a tree, a tensor or a value, in short.

    >>> value_text("epoch", 3), value_text("args", {"lr": 0.1, "betas": [0, 1]})
    ('epoch = 3', 'args (3 values)')
    """
    name = cut(name, 40)
    if isinstance(value, (Mapping, list, tuple)):
        try:
            tree = flatten(value, name)
        except CatenError:
            return f"{name} (nested without bound)"
        if tree.leaves:
            return f"{name} ({counted(len(tree.leaves), 'tensor')})"
        whole = any(each is value for each in tree.others.values())
        count = len(value) if whole else len(tree.others)
        return f"{name} ({counted(count, 'value')})"
    if isinstance(value, (set, frozenset)):  # their text may be longer than any memory
        return f"{name} ({counted(len(value), 'value')})"
    known = spec_or_none(value)
    return f"{name} = {cut(str(value), 40)}" if known is None else f"{name} {list(known.shape)}"
