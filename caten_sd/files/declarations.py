"""The attributes of the formats in ``formats/``, read from their source code.

The attributes in the body of a ``class X(Format)`` are literals, so choosing one format does not
import the others. A class with other attributes is imported to see them, which only costs time.
"""

from __future__ import annotations

import ast
import functools
import importlib
import os
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from caten_sd.files.format import Format

FORMATS_PACKAGE = "caten_sd.formats"

_CLASS = re.compile(r"^class (\w+)\(Format\):\n(?:(?: {4}.*)?\n)+", re.MULTILINE)


class Declaration(NamedTuple):
    """A format that may not be imported yet; ``load`` returns it."""

    module: str
    attributes: Format | type[Format]
    load: Callable[[], Format]


def built_in_formats(name: str = "") -> Iterator[Declaration]:
    """Yield the formats of the package, sorted by module; their files are read one at a time.

    A file or folder that is called like the suffix of ``name`` comes first, which saves reading
    the others.
    """
    suffix = name.rpartition(".")[2].rstrip("/")
    for module, path in sorted(_modules(), key=lambda each: suffix not in each[0].split(".")):
        yield from _declared_in(module, path)


@functools.cache
def _modules() -> tuple[tuple[str, str], ...]:
    """Return the modules of the package and their files, sorted by module."""
    package = importlib.import_module(FORMATS_PACKAGE)
    return tuple(
        sorted(
            (f"{FORMATS_PACKAGE}{path[len(root) : -len('.py')]}".replace(os.sep, "."), path)
            for root in package.__path__
            for folder, _, files in os.walk(root)
            for path in (os.path.join(folder, file) for file in files)
            if path.endswith(".py")
        )
    )


@functools.cache
def _declared_in(module: str, path: str) -> tuple[Declaration, ...]:
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if "(Format):" not in text:
        return ()
    return tuple(
        Declaration(module, _literal(found[0]) or load(), load)
        for found in _CLASS.finditer(text)
        for load in [functools.partial(_load, module, found[1])]
    )


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
