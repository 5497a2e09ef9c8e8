"""Write the files of ``caten_sd/layouts/`` from pairs of other people's files, and prove them.

``python -m tests.oracles.generate_layouts PAIRS [FILE ...]`` writes the files of families.py, or
those that are named, and prints their paths. What it writes is reviewed.

A layout extends another one of its own file only, even where files repeat one another. Modules that
name a layout are imported with it, so a model that says what it is would import its relatives, and
these would be weighed as well.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import caten_sd.layouts
from tests.oracles.architecture_rows import architecture_of
from tests.oracles.families import FAMILIES
from tests.oracles.layout_text import file_text
from tests.oracles.model_numbers import read_pair

TARGET = Path(caten_sd.layouts.__file__).parent


def write_family(name: str, pairs: Path) -> Path:
    """Write the file of a family from the pairs that are there; return its path."""
    made = [
        architecture_of(each, [read_pair(pairs / kind) for kind in kinds])
        for each, kinds in FAMILIES[name].items()
    ]
    path = TARGET / f"{name}.py"
    path.write_text(file_text(made))
    for command in (["format", "-q"], ["check", "--fix", "-q"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, str(path)], check=False)
    return path


if __name__ == "__main__":
    for each in sys.argv[2:] or FAMILIES:
        sys.stdout.write(f"{write_family(each, Path(sys.argv[1]))}\n")
