"""Files of MLX and of mlx_lm, in both directions: MLX's own loader is the oracle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd import (
    convert,
    get_state_dict,
    load,
    load_state_dict,
    plan_load,
    read_state_dict,
    save,
    write_state_dict,
)
from caten_sd.cli import main
from caten_sd.state.leaf import Numpy, as_array, kind_named
from tests.adapters.mlx.test_lazy_arrays import DTYPES, bits

mx = pytest.importorskip("mlx.core", reason="MLX is not installed: pip install 'caten-sd[mlx]'")

SAVED: dict[str, Callable[[str, dict[str, Any]], None]] = {
    "safetensors": lambda path, arrays: mx.save_safetensors(path, arrays, {"by": "mlx"}),
    "npz": lambda path, arrays: mx.savez(path, **arrays),
    "compressed npz": lambda path, arrays: mx.savez_compressed(path, **arrays),
    "gguf": mx.save_gguf,
}
LACKING = {  # of MLX's own writers
    "safetensors": {"float64"},
    "gguf": set(DTYPES) - {"int8", "int16", "int32", "float16", "float32"},
}


def arrays_for(kind: str) -> dict[str, Any]:
    dtypes = [dtype for dtype in DTYPES if dtype not in LACKING.get(kind, ())]
    made = {dtype: as_array(kind_named("mlx"), bits(dtype)) for dtype in dtypes}
    return {**made, "turned": made["float32"].T, "long.name'\"": made["float16"][:, 1:]}


def same_bits(one: Any, other: Any) -> bool:
    a, b = (as_array(Numpy(), each) for each in (one, other))
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("kind", SAVED)
def test_what_mlx_has_written_is_read(kind: str, tmp_path: Path) -> None:
    arrays = arrays_for(kind)
    path = tmp_path / f"w.{kind.split()[-1]}"
    SAVED[kind](str(path), arrays)
    model = {key: mx.zeros(each.shape, dtype=each.dtype) for key, each in arrays.items()}
    with read_state_dict(path) as found:
        assert set(found) == set(arrays)
        load_state_dict(model, found, strict=True)
    assert all(same_bits(model[key], arrays[key]) for key in arrays)


@pytest.mark.parametrize("kind", ["safetensors", "npz", "gguf"])
def test_what_is_written_is_read_by_mlx(kind: str, tmp_path: Path) -> None:
    arrays = arrays_for(kind)
    path = tmp_path / f"w.{kind}"
    write_state_dict(arrays, path)
    found = mx.load(str(path))
    found.pop("__caten_sd__", None)  # says in an .npz what has a dtype that numpy lacks
    assert set(found) == set(arrays)
    assert all(same_bits(found[key], arrays[key]) for key in arrays)


@pytest.mark.parametrize("turned", [False, True])
def test_an_npy_of_bfloat16_gets_into_a_slot_and_a_file_that_say_so(
    turned: bool, tmp_path: Path
) -> None:
    array = mx.arange(6).reshape(2, 3).astype(mx.bfloat16)
    array = array.T if turned else array
    path = tmp_path / "w.npy"
    mx.save(str(path), array)
    model = load({"w": mx.zeros(array.shape, dtype=mx.bfloat16)}, path, strict=True)
    assert same_bits(model["w"], array)
    assert not plan_load({"w": mx.zeros(array.shape, dtype=mx.float16)}, read_state_dict(path)).fits
    convert(path, tmp_path / "w.safetensors", dtype="bf16")
    assert same_bits(mx.load(str(tmp_path / "w.safetensors"))["w"], array)


@pytest.mark.parametrize(("dtype", "width"), [("q8_0", 8), ("q4_0", 4), ("q4_1", 4)])
def test_blocks_of_a_gguf_have_the_values_that_mlx_gives_them(
    dtype: str, width: int, tmp_path: Path
) -> None:
    mx.random.seed(0)
    mx.save_gguf(str(tmp_path / "w.gguf"), {"a.weight": mx.random.normal((4, 64))})
    convert(tmp_path / "w.gguf", tmp_path / "q.gguf", dtype=dtype)
    packed = mx.load(str(tmp_path / "q.gguf"))
    scales, biases = (packed[f"a.{name}"].astype(mx.float32) for name in ("scales", "biases"))
    theirs = mx.dequantize(packed["a.weight"], scales, biases, group_size=32, bits=width)
    with read_state_dict(tmp_path / "q.gguf") as found:
        assert np.abs(np.asarray(theirs) - found["a.weight"].numpy()).max() <= 1e-3


CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "vocab_size": 96,
    "tie_word_embeddings": False,
}


def llama(seed: int, quantized: bool) -> tuple[Any, dict[str, Any]]:
    models = pytest.importorskip("mlx_lm.models.llama", reason="mlx_lm is not installed")
    utils = pytest.importorskip("mlx_lm.utils")
    mx.random.seed(seed)
    model = models.Model(models.ModelArgs.from_dict(CONFIG))
    if quantized:
        found: tuple[Any, dict[str, Any]] = utils.quantize_model(
            model, dict(CONFIG), group_size=32, bits=4
        )
        return found
    return model, dict(CONFIG)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("quantized", [False, True])
def test_folders_of_mlx_lm_go_both_ways(
    quantized: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (old, config), (new, _) = llama(1, quantized), llama(2, quantized)
    utils, tokens = pytest.importorskip("mlx_lm.utils"), mx.array([[1, 2, 3]])
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    for folder in (theirs, ours):
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
    utils.save_model(theirs, old)
    load(new, f"{theirs}/", strict=True)
    assert mx.array_equal(new(tokens), old(tokens))
    save(old, ours / "model.safetensors")
    read, _ = utils.load_model(ours)
    assert mx.array_equal(read(tokens), old(tokens))
    assert main(["show", f"{theirs}/"]) == 0
    assert ("quantized: mlx, 4 bits, groups of 32" in capsys.readouterr().out) == quantized
    if quantized:
        plan = plan_load(llama(3, True)[0], get_state_dict(llama(1, False)[0]))
        assert "the model is quantized" in plan.cause
