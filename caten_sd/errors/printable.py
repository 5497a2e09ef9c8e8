"""The one place through which text of a file passes on its way to a screen, message or page.

What ``str.isprintable`` refuses is escaped as in a Python literal: control codes, line and
paragraph separators, bidirectional overrides, characters of no width, and lone surrogates.
"""

from __future__ import annotations

LONGEST = 4_000  # characters of a line


def printable(name: str) -> str:
    """Return a name for a line of text: quoted if it is empty or has control characters.

    >>> print(printable("h.0.w"), printable(""), printable("a\\nb"))
    h.0.w '' 'a\\nb'
    """
    return name if name and name.isprintable() else repr(name)


def escaped(text: str) -> str:
    """Return the text with every character escaped that a screen would obey or not show.

    >>> print(escaped("red: \\x1b[31m"))
    red: \\x1b[31m
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def one_line(text: object, most: int = LONGEST) -> str:
    """Return the text escaped and on one line; a long one loses its middle.

    >>> print(one_line("a\\nb"), one_line("h.0.attn.c_attn.weight", 11))
    a\\nb h.0.a…eight
    """
    # Cutting first bounds the work for a text of many megabytes.
    return _cut(escaped(_cut(str(text), most)), most)


def lines(text: object) -> str:
    """Return each line of the text escaped, and without its middle if it is long.

    >>> print(lines("a\\x07\\nb"))
    a\\x07
    b
    """
    return "\n".join(map(one_line, str(text).split("\n")))


def _cut(text: str, most: int) -> str:
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"
