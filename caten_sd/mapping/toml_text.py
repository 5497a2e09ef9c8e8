"""The text of a TOML file from the fields of a layout: each row a table, operations within it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.mapping.operations import Chain, Operation
from caten_sd.mapping.rearrange import Rearrange
from caten_sd.mapping.rows import Constant, Drop, Lacks, Row
from caten_sd.mapping.toml_fields import OPERATIONS, ROWS, VERSION

WIDTH = 70  # characters of the texts in a list that stands on one line


def text_of(fields: Mapping[str, Any]) -> str:
    """Return the TOML text of a layout's fields; its base is a name, or the fields of a layout.

    >>> print(text_of({"name": "mine", "rows": [Row("a.w", "x.w")]}))
    version = 1
    name = "mine"
    <BLANKLINE>
    [[rows]]
    canonical = "a.w"
    here = "x.w"
    <BLANKLINE>
    """
    return "\n".join([f"version = {VERSION}", *_lines(fields, "")]) + "\n"


def _lines(fields: Mapping[str, Any], place: str) -> Iterator[str]:
    """Yield the lines of a layout: first the plain values, which a table would swallow."""
    tables = {key: value for key, value in fields.items() if isinstance(value, Mapping)}
    for key, value in fields.items():
        if key not in tables and key != "rows":
            yield f"{key} = {_value(value)}"
    for key, value in tables.items():
        yield from ("", f"[{place}{key}]")
        if key == "base":
            yield from _lines(value, f"{place}{key}.")
        else:
            yield from (f"{_key(name)} = {_value(each)}" for name, each in value.items())
    for row in fields["rows"]:
        yield from ("", f"[[{place}rows]]")
        yield from (f"{key} = {_value(value)}" for key, value in _row(row).items())


def _row(row: Row | Drop | Lacks) -> dict[str, Any]:
    ((word, field),) = [(key, field) for key, (kind, field) in ROWS.items() if type(row) is kind]
    found = _changed(row)
    return {word: found.pop(field), **found}


def _changed(value: Any) -> dict[str, Any]:
    """Return the fields of a row or an operation that are not as they are by default."""
    found = {}
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        if field.default is dataclasses.MISSING or held != field.default:
            is_float = str(field.type).startswith("float") and not isinstance(held, str)
            found[field.name] = float(held) if is_float else held
    return found


def _value(value: Any) -> str:
    if isinstance(value, Operation):
        return _operation(value)
    if isinstance(value, Constant):
        return _inline(_changed(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return _inline(value)
    if isinstance(value, (Sequence, frozenset, set)):
        texts = [*map(_value, sorted(value) if isinstance(value, (frozenset, set)) else value)]
        long = sum(map(len, texts)) > WIDTH
        return "[\n    {},\n]".format(",\n    ".join(texts)) if long else f"[{', '.join(texts)}]"
    raise LayoutError(f"{value!r} cannot be written as TOML; write the layout in Python")


def _operation(operation: Operation) -> str:
    """Return an operation by its name, with its fields if it has any."""
    name = type(operation).__name__
    if OPERATIONS.get(name) is not type(operation):
        raise LayoutError(
            f"{operation!r} is an operation of your own, which a TOML file cannot hold; leave the "
            f"layout in Python, and name it as mine.py:LAYOUT"
        )
    if isinstance(operation, Chain):
        return _value(operation.operations)
    fields = _changed(operation)
    if isinstance(operation, Rearrange):
        fields["sizes"] = dict(operation.sizes)
    return _inline({name: fields}) if fields else _text(name)


def _inline(values: Mapping[str, Any]) -> str:
    inner = ", ".join(f"{_key(name)} = {_value(value)}" for name, value in values.items())
    return f"{{ {inner} }}" if inner else "{}"


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "a").replace("-", "a").isalnum()
    return name if bare else _text(name)


def _text(text: str) -> str:
    """Return a text between quotes, in ASCII, which every editor writes back as it is."""
    if not text.isprintable():
        raise LayoutError(
            f"{text[:40]!r} has characters that are not printed, so no TOML file of a layout may "
            f"hold it; rename it"
        )
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isascii() else f"\\U{ord(char):08x}" for char in quoted)
