"""A quantized model says that it is one where the file has floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd import plan_load
from tests.state.test_packed_weights import UNITS

FLOAT = {"fc.weight": np.ones((4, 4), "f4"), "norm": np.ones(4, "f4")}


@pytest.mark.parametrize("name", ["compressed-tensors", "nvfp4", "fp8", "gptq", "hqq"])
def test_floats_for_a_quantized_model_have_the_cause(name: str) -> None:
    model: dict[str, Any] = {**UNITS[name], "norm": np.ones(4, "f4")}
    plan = plan_load(model, FLOAT)
    assert not plan.fits
    text = str(plan)
    assert "the model is quantized (1 weight such as fc." in text
    assert "the file has floats" in text
    assert plan_load(model, dict(model)).fits


def test_a_file_that_is_packed_in_another_way_is_not_called_floats() -> None:
    model = {**UNITS["nvfp4"], "norm": np.ones(4, "f4")}
    file = {**UNITS["gptq"], "norm": np.ones(4, "f4")}
    assert "has floats" not in str(plan_load(model, file))
