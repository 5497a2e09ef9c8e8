"""What all tests share: benchmarks run only when they are asked for, no test has a deadline, and
no save waits for the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import tests.properties  # registers the profiles  # noqa: F401

settings.load_profile("quarter")
# Tensors are small here: threads of torch and BLAS would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--json", metavar="PATH", help="write the table of the benchmarks to a file")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    is_left_out = collection_path.name == "benchmarks" and not benchmarks_are_asked(config)
    return True if is_left_out else None


def benchmarks_are_asked(config: pytest.Config) -> bool:
    return any("benchmarks" in str(argument) for argument in config.invocation_params.args)


@pytest.fixture(scope="session", autouse=True)
def no_save_waits_for_the_disk(pytestconfig: pytest.Config) -> Iterator[None]:
    """Nothing here ends the system, and the waits took a third of the time of all tests."""
    with pytest.MonkeyPatch.context() as patch:
        if not benchmarks_are_asked(pytestconfig):
            patch.setattr(os, "fsync", lambda handle: None)
        yield
