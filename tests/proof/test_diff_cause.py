"""The likely cause is named where the rows show one, and nowhere else."""

from typing import Any

import numpy as np
import pytest

from caten_sd import diff


def model(layers: int, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    found = {f"h.{i}.w": random.standard_normal((64, 32), dtype="f4") for i in range(layers)}
    return {**found, "norm": np.ones(32, "f4")}


def cause(a: dict[str, Any], b: dict[str, Any]) -> str:
    return diff(a, b).sheet().cause


def test_fewer_layers_on_either_side() -> None:
    assert cause(model(4), model(2)) == "B ends after 2 of the 4 layers that A has"
    assert cause(model(1), model(4)) == "A ends after 1 of the 4 layers that B has"


@pytest.mark.parametrize("lacks", [["h.0.w"], ["h.1.w"], ["h.3.w", "norm"]])
def test_tensors_that_are_not_the_last_layers_have_no_cause(lacks: list[str]) -> None:
    b = {key: each for key, each in model(4).items() if key not in lacks}
    assert cause(model(4), b) == ""


def test_another_seed() -> None:
    assert "another seed" in cause(model(3), model(3, seed=1))


def test_a_little_training_and_one_new_matrix_are_no_other_seed() -> None:
    a = model(3)
    assert cause(a, {key: each * 1.01 for key, each in a.items()}) == ""
    assert cause(a, {**a, "h.1.w": model(3, seed=1)["h.1.w"]}) == ""
