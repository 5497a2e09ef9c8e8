"""The examples in the docstrings run and give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

import caten_sd

MODULES = [
    module.name
    for module in pkgutil.walk_packages(caten_sd.__path__, "caten_sd.")
    if not module.name.endswith("__main__")
]


def module(name: str) -> ModuleType:
    """Import a module; the test is skipped where the package of an adapter is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.removeprefix("caten_sd.adapters.").partition(".")[0]
        if error.name != package:
            raise
        pytest.skip(f"{package} is not installed")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name: str):
    found = doctest.testmod(module(name), optionflags=doctest.ELLIPSIS)
    assert found.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [
        test
        for name in MODULES
        if ".adapters." not in name
        for test in finder.find(importlib.import_module(name))
    ]
    assert sum(bool(test.examples) for test in examples) > 30
