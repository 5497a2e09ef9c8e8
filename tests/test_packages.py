"""The source distribution is the whole checkout, and the wheel is the library alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("caten_sd", "examples", "tests")
FILES = (
    ".ci/run",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "MANIFEST.in",
    "README.md",
    "constraints.txt",
    "pyproject.toml",
)
ADDED = ("PKG-INFO", "setup.cfg", "caten_sd.egg-info/")  # by setuptools


def below(folder: str) -> set[str]:
    paths = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if "__pycache__" not in path.parts}


def build(kind: str, source: Path, target: Path) -> Path:
    """Build with the setuptools that is installed, so that nothing is downloaded."""
    code = f"import sys; from setuptools import build_meta; build_meta.build_{kind}(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", code, target], cwd=source, check=True, capture_output=True
    )
    return next(target.glob("*.tar.gz" if kind == "sdist" else "*.whl"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy, since setuptools writes next to what it builds."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in {*FILES, *set().union(*map(below, FOLDERS))}:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    yield copy
    shutil.rmtree(copy)


@pytest.fixture(scope="module")
def unpacked(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build("sdist", checkout, folder)) as archive:
        # Python before 3.10.12 and 3.11.4 has no filters.
        archive.extractall(
            folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {})
        )
    return next(path for path in folder.iterdir() if path.is_dir())


def test_the_source_distribution_is_the_whole_checkout(unpacked: Path) -> None:
    paths = (path for path in unpacked.rglob("*") if path.is_file())
    names = {path.relative_to(unpacked).as_posix() for path in paths}
    wanted = set(FILES).union(*map(below, FOLDERS))
    assert {name for name in names if not name.startswith(ADDED)} == wanted


def test_the_wheel_that_is_built_from_it_is_the_library_alone(
    unpacked: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(build("wheel", unpacked, tmp_path)) as wheel:
        names = set(wheel.namelist())
    own = {name for name in names if ".dist-info/" not in name}
    assert own == below("caten_sd")
    assert "caten_sd/py.typed" in own
    added = {name.partition(".dist-info/")[2] for name in names - own}
    assert {"METADATA", "entry_points.txt", "licenses/LICENSE"} <= added
