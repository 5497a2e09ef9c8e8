"""Many tensors, hostile files and bad input: a screen, one sentence, and no end of the process."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from caten_sd import FormatError, diff, read_state_dict
from caten_sd.state.grouping import MAX_LINES
from tests.proof.test_difference import kinds


def many(count: int, seed: int, name: str = "h.{}.w") -> dict[str, Any]:
    values = np.random.default_rng(seed).standard_normal((count, 20), dtype="f4")
    return {name.format(n): values[n] for n in range(count)}


@pytest.mark.parametrize(
    "b", [many(400, 0), many(400, 1), many(400, 0, "x{}/w"), many(400, 1, "x{}/w"), {}]
)
def test_any_number_of_tensors_is_one_screen(b: dict[str, Any]) -> None:
    found = diff(many(400, 0), {**b, "one": np.arange(9.0)})
    assert len(str(found).split("\n")) <= MAX_LINES
    assert len(found.diffable().split("\n")) == len(found.rows) >= 400


def test_a_file_that_was_cut_off_meanwhile_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"w": np.ones((512, 512), "f4")}, path)
    b = {"w": np.zeros((512, 512), "f4")}
    with read_state_dict(path) as a:
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(FormatError, match=r"a\.safetensors"):
            diff(a, b)


def test_a_copy_of_a_layer_that_was_inserted_is_found() -> None:
    """Depth up-scaling repeats layers: what follows is moved, and the copy is said to be one."""
    layers = [np.random.default_rng(n).standard_normal((32, 32), dtype="f4") for n in range(4)]
    a = {f"h.{n}.w": each for n, each in enumerate(layers)}
    b = {f"h.{n}.w": layers[m] for n, m in enumerate((0, 1, 1, 2, 3))}
    found = diff(a, {key: each.copy() for key, each in b.items()})
    assert kinds(found) == {"bytes": 2, "moved": 2, "only_b": 1}
    (alone,) = (row for row in found.rows if row.likeness.name == "ONLY_B")
    assert alone.detail == "the same bytes as h.1.w"
