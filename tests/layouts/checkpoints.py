"""Real checkpoints, which some packages hold."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def folder_of(package: str) -> Path:
    """Return the folder of a package that holds a checkpoint, without importing it."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        pytest.skip(f"the package {package} is not installed, which holds a real checkpoint")
    return Path(found.origin).parent
