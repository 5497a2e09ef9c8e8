"""Weights of 8 bits as optimum-quanto saves them."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from caten_sd.blocks.unpacked_weights import quantization_notes, to_floats
from caten_sd.errors import StateDictError
from caten_sd.state.state_dict import StateDict

SHAPE = (9, 5)


@pytest.mark.parametrize("dtype", ["i1", ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2])
@pytest.mark.parametrize(
    ("scales", "words"),
    [
        ((9, 1), "a scale for each row"),
        ((1, 5), "a scale for each column"),
        ((), "one scale"),
        ((1,), "one scale"),
    ],
)
def test_each_value_is_its_number_times_its_scale(
    dtype: Any, scales: tuple[int, ...], words: str
) -> None:
    random = np.random.default_rng(5)
    weight = random.integers(-9, 9, SHAPE).astype(dtype)
    scale = np.asarray(random.random(scales), "f4")
    given = {"fc.weight._data": weight, "fc.weight._scale": scale}
    more = {"fc.input_scale": np.ones((), "f4"), "fc.output_scale": np.ones((), "f4")}
    floats = to_floats({**given, **more, "fc.bias": np.ones(9)})
    assert list(floats) == ["fc.weight", "fc.bias"]
    expected = weight.astype("f4") * scale
    assert np.array_equal(floats["fc.weight"].numpy(), expected)
    assert np.array_equal(floats["fc.weight"][2:7].numpy(), expected[2:7])
    assert quantization_notes(StateDict(given)) == [f"quantized: quanto, 8 bits, {words}; 1 weight"]


def test_scales_that_do_not_fit_are_named_and_4_bits_are_not_guessed_at() -> None:
    given = {"fc.weight._data": np.ones(SHAPE, "i1"), "fc.weight._scale": np.ones((3, 1), "f4")}
    with pytest.raises(StateDictError, match=r"fc\.weight\._data .*\[9, 5\].*\[3, 1\]"):
        to_floats(given)
    few = {
        "fc.weight._data._data": np.ones((4, 8), "u1"),
        "fc.weight._scale": np.ones((8, 1), "f4"),
    }
    with pytest.raises(StateDictError, match=r"fc\.weight\._data\._data; .*tool that packed"):
        to_floats({**few, "fc.weight._shift": np.ones((8, 1), "f4")})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["qint8", "qfloat8_e4m3fn", "qfloat8_e5m2"])
def test_quanto_gives_the_same_values(name: str) -> None:
    torch = pytest.importorskip("torch")
    quanto = pytest.importorskip("optimum.quanto", reason="optimum-quanto is not installed")
    model = torch.nn.Sequential(torch.nn.Linear(64, 32))
    quanto.quantize(model, weights=getattr(quanto, name))
    quanto.freeze(model)
    found = to_floats(model.state_dict())
    assert list(found) == ["0.weight", "0.bias"]
    assert np.array_equal(found["0.weight"].numpy(), model[0].weight.dequantize().detach().numpy())
