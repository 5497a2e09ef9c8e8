"""A conversion with a dtype makes floats of packed weights, counts them as casts and says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caten_sd as sd
from caten_sd.layout import Layout, Row, Transpose
from tests.blocks.schemes.test_awq import packed as packed_by_awq

TURNED = Layout(
    "turned", [Row("fc.weight", "fc.kernel", Transpose()), Row("norm", "scale", optional=True)]
)


@pytest.fixture
def awq(tmp_path: Path) -> Path:
    folder = tmp_path / "awq"
    folder.mkdir()
    state = {**packed_by_awq()[0], "norm": np.ones(4, "f4")}
    sd.write_state_dict(state, folder / "model.safetensors")
    stated = {"quant_method": "awq", "bits": 4, "group_size": 32}
    (folder / "config.json").write_text(json.dumps({"quantization_config": stated}))
    return folder / "model.safetensors"


def test_packed_weights_become_floats_and_are_counted_as_casts(awq: Path, tmp_path: Path) -> None:
    done = sd.convert(awq, tmp_path / "out.safetensors", dtype="f16")
    assert done.casts == {"awq 4 bits to float32": 1, "float32 to float16": 2}
    assert "1 packed weight became" in str(done)
    assert "awq, 4 bits, groups of 32" in str(done)
    assert "2 tensors of scales" in str(done)
    with sd.read_state_dict(tmp_path / "out.safetensors") as out:
        assert sorted(out) == ["fc.weight", "norm"]
        assert np.array_equal(out["fc.weight"], packed_by_awq()[1].astype("f2"))


def test_floats_of_float32_are_counted_too(awq: Path, tmp_path: Path) -> None:
    done = sd.convert(awq, tmp_path / "out.safetensors", dtype="f32")
    assert done.casts == {"awq 4 bits to float32": 1}
    assert done.error == 0


@pytest.mark.parametrize(
    ("dtype", "is_float"),
    [
        (None, False),
        ("keep", False),
        ({"norm": "bf16"}, False),
        ({"fc.*": "keep", "*": "bf16"}, False),
        ({"fc.weight": "bf16"}, True),
        ({"*": "q8_0"}, True),
    ],
)
def test_only_what_a_dtype_is_asked_for_becomes_a_float(
    dtype: Any, is_float: bool, awq: Path, tmp_path: Path
) -> None:
    sd.convert(awq, tmp_path / "out.gguf", dtype=dtype)
    with sd.read_state_dict(tmp_path / "out.gguf") as out:
        assert ("fc.weight" in out) == is_float
        assert ("fc.qweight" in out) != is_float


def test_floats_are_made_before_a_layout_that_would_part_the_weight(
    awq: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.safetensors"
    names = {"layout": TURNED, "from_layout": TURNED.canonical}
    with pytest.raises(sd.LayoutError, match="dequantize the weight first, by to_floats or"):
        sd.convert(awq, out, **names)
    sd.convert(awq, out, **names, dtype="f32")
    with sd.read_state_dict(out) as found:
        assert np.array_equal(found["fc.kernel"], packed_by_awq()[1].T)


def test_a_pattern_for_the_names_of_the_target_makes_floats_too(awq: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    done = sd.convert(awq, out, rename={"fc": "mlp"}, dtype={"mlp.weight": "f32"})
    assert done.casts == {"awq 4 bits to float32": 1}
    with sd.read_state_dict(out) as found:
        assert sorted(found) == ["mlp.weight", "norm"]


def test_what_no_scheme_is_known_for_stays_packed_and_is_named(tmp_path: Path) -> None:
    unknown = {"up.weight": np.ones((4, 4), "i1"), "up.weight_scales": np.ones(4, "f4")}
    sd.write_state_dict({**unknown, "norm": np.ones(4, "f4")}, tmp_path / "in.safetensors")
    done = sd.convert(tmp_path / "in.safetensors", tmp_path / "out.safetensors", dtype="f16")
    assert "1 packed weight stays packed" in str(done)
    assert "up.weight" in str(done)
    with sd.read_state_dict(tmp_path / "out.safetensors") as out:
        assert set(unknown) < set(out)
        assert out["norm"].dtype.name == "float16"
    with pytest.raises(sd.StateDictError, match=r"up\.weight"):
        sd.to_floats(unknown)


def test_tied_weights_stay_tied() -> None:
    tensors = packed_by_awq()[0]
    again = {key.replace("fc", "head"): leaf for key, leaf in tensors.items()}
    assert sd.to_floats({**tensors, **again}).ties == {"head.weight": "fc.weight"}


def test_two_weights_never_become_one_key() -> None:
    state = {**packed_by_awq()[0], "fc.weight": np.ones((2, 2), "f4")}
    with pytest.raises(sd.StateDictError, match=r"fc\.qweight would become fc\.weight"):
        sd.to_floats(state)
