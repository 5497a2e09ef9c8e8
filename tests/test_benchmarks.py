"""The benchmarks are run by hand, so a change of a name that they use is noticed here."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

BENCHMARKS = sorted((Path(__file__).parent / "benchmarks").glob("test_*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda each: each.stem)
def test_it_can_be_imported(path: Path) -> None:
    module = importlib.import_module(f"tests.benchmarks.{path.stem}")
    assert any(name.startswith("test_") for name in vars(module))
