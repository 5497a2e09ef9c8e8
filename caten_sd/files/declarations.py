"""What the formats in ``formats/`` say of themselves, read off their text.

The attributes in the body of a ``class X(Format)`` are literals, so choosing one format imports no
other. A class whose attributes are not literals is imported to see them, which only costs time.
"""

from __future__ import annotations

import ast
import functools
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from caten_sd.files.format import Format

FORMATS_PACKAGE = "caten_sd.formats"

_CLASS = re.compile(r"^class (\w+)\(Format\):\n(?:(?: {4}.*)?\n)+", re.MULTILINE)


class Declaration(NamedTuple):
    """A format that may not be imported yet; ``load`` returns it."""

    module: str
    attributes: Format | type[Format]
    load: Callable[[], Format]


@functools.cache
def built_in_formats() -> tuple[Declaration, ...]:
    """Return the formats of the package, sorted by module."""
    package = importlib.import_module(FORMATS_PACKAGE)
    files = sorted((file, root) for root in package.__path__ for file in Path(root).rglob("*.py"))
    return tuple(
        declaration
        for file, root in files
        for declaration in _declarations(
            ".".join([FORMATS_PACKAGE, *file.relative_to(root).with_suffix("").parts]),
            file.read_text("utf-8"),
        )
    )


def _declarations(module: str, text: str) -> Iterator[Declaration]:
    for found in _CLASS.finditer(text):
        load = functools.partial(_load, module, found[1])
        yield Declaration(module, _literal(found[0]) or load(), load)


def _load(module: str, kind: str) -> Format:
    format: Format = getattr(importlib.import_module(module), kind)()
    return format


def _literal(text: str) -> Format | None:
    """Return a format with the attributes in the text of a class; None if one is not a literal."""
    format = Format()
    definition = ast.parse(text).body[0]
    assert isinstance(definition, ast.ClassDef)
    for node in definition.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                setattr(format, node.targets[0].id, ast.literal_eval(node.value))
            except ValueError:
                return None
    return format
