"""Break long lines as a formatter of Python does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

WIDTH = 100
_PAIRS = {"(": ")", "[": "]", "{": "}"}


def broken(line: str) -> list[str]:
    """Return a statement as lines of at most 100 columns, if it can be broken so.

    >>> broken("x = f(1)")
    ['x = f(1)']
    """
    if len(line) <= WIDTH or line.lstrip().startswith("#"):
        return [line]
    return _broken_in_brackets(line) or _broken_at_signs(line) or [line]


def _broken_in_brackets(line: str) -> list[str]:
    """Break a line in its last brackets, unless what follows them is an operation."""
    found = _last_brackets(line)
    if found is None:
        return []
    start, end = found
    head, inner, tail = line[: start + 1], line[start + 1 : end], line[end:]
    if not inner or len(head) > WIDTH or len(tail) + len(_indent(line)) > WIDTH:
        return []
    if _has_operation(_value(line)) and not _value(line).startswith(line[start]):
        return []
    indent = _indent(line) + "    "
    closing = _indent(line) + tail
    if len(indent) + len(inner) <= WIDTH:
        return [head, indent + inner, closing]
    pieces = list(_split(inner, ","))
    if len(pieces) == 1:
        operands = _clauses(inner) or _operands(inner)
        return [head, *(part for each in operands for part in broken(indent + each)), closing]
    lines = [part for each in pieces for part in broken(f"{indent}{each.strip()},")]
    return [head, *lines, closing]


def _broken_at_signs(line: str) -> list[str]:
    """Put the value of an assignment or a return in parentheses, one operand on each line."""
    value = _value(line)
    head = line[: len(line) - len(value)]
    if not head.strip():
        return []
    indent = _indent(line) + "    "
    whole = indent + value
    operands = [whole] if len(whole) <= WIDTH else [indent + each for each in _operands(value)]
    if operands == [whole] and len(whole) > WIDTH:
        return []
    lines = [part for each in operands for part in broken(each)]
    return [f"{head}(", *lines, f"{_indent(line)})"]


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _value(line: str) -> str:
    """Return what follows the equals sign or the return of a statement."""
    for at in _outside(line):
        if line.startswith(" = ", at):
            return line[at + 3 :]
    text = line.lstrip()
    return text.removeprefix("return ") if text.startswith("return ") else text


def _outside(text: str) -> Iterator[int]:
    """Yield the positions that are in no brackets and in no string."""
    depth, quote = 0, ""
    for at, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote and text[at - 1] != "\\" else quote
        elif sign in "\"'":
            quote = sign
        elif sign in _PAIRS:
            if not depth:
                yield at
            depth += 1
        elif sign in _PAIRS.values():
            depth -= 1
        elif not depth:
            yield at


def _last_brackets(line: str) -> tuple[int, int] | None:
    """Return where the last brackets of a line open and close, of a function the first."""
    starts = [at for at in _outside(line) if line[at] in _PAIRS]
    if not starts:
        return None
    start = starts[0 if line.lstrip().startswith("def ") else -1]
    after = [at for at in _outside(line) if at > start]
    return start, (after[0] if after else len(line)) - 1


def _split(text: str, sign: str) -> Iterator[str]:
    start = 0
    for at in _outside(text):
        if text[at] == sign:
            yield text[start:at]
            start = at + 1
    if text[start:].strip():
        yield text[start:]


_CLAUSES = (" for ", " if ")
_SIGNS = (" if ", " else ", " or ", " and ", " + ", " - ", " * ", " / ", " // ", " @ ", " ** ")


def _clauses(text: str) -> list[str]:
    """Return the parts of a comprehension, none if it is not one."""
    found = _cut(text, _CLAUSES)
    return found if len(found) > 1 and any(each.startswith("for ") for each in found) else []


def _cut(text: str, signs: tuple[str, ...]) -> list[str]:
    places = [at for at in _outside(text) if text.startswith(signs, at)]
    edges = [0, *(at + 1 for at in places), len(text) + 1]
    return [text[a : b - 1] for a, b in itertools.pairwise(edges)]


def _has_operation(value: str) -> bool:
    return any(value.startswith(_SIGNS, at) for at in _outside(value))


def _operands(value: str) -> list[str]:
    """Return an operation in lines, cut at its weakest signs."""
    for signs in (
        (" if ", " else "),
        (" or ",),
        (" and ",),
        (" + ", " - "),
        (" * ", " / ", " // ", " @ "),
    ):
        found = _cut(value, signs)
        if len(found) > 1:
            return found
    return [value]
