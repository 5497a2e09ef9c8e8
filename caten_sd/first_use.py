"""The public names of a module, each imported from its home when it is first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

ROOT = __name__.partition(".")[0]


def homes(names: Mapping[str, str]) -> dict[str, str]:
    """Return the home of each name, given the names of each home in one text.

    >>> homes({"state.digest": "digest", "state.leaf": "Opaque Spec"})
    {'digest': 'state.digest', 'Opaque': 'state.leaf', 'Spec': 'state.leaf'}
    """
    return {name: home for home, text in names.items() for name in text.split()}


def imported(module: str, homes: Mapping[str, str], name: str) -> Any:
    """Import the value of a public name into a module, and return it."""
    if name not in homes:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{ROOT}.{homes[name]}"), name)
    setattr(sys.modules[module], name, value)
    return value
