"""HQQ as HQQLinear saves it for safetensors: a table, and what it is in tensors of one number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd import read_state_dict, write_state_dict
from caten_sd.blocks.unpacked_weights import quantization_notes, to_floats
from caten_sd.errors import StateDictError
from caten_sd.state.parts import parts
from caten_sd.state.state_dict import StateDict

SHAPE, GROUP = (40, 96), 32
BITS = {"8bit_u8": 8, "4bit_u8": 4, "3bit_32": 3, "2bit_u8": 2, "1bit_u8": 1}


def packed(
    packing: str, *, axis: int, as_float: bool = False
) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """Return the tensors of a random weight, and its float32 values."""
    bits = BITS[packing]
    random = np.random.default_rng(bits)
    rows = SHAPE[0] * SHAPE[1] // GROUP
    table = random.integers(0, 1 << bits, (rows, GROUP) if axis else (GROUP, rows))
    one = (rows, 1) if axis else (1, rows)
    scale, zero = (random.random(one).astype("f4") for _ in range(2))
    raw = _rows_together(table, bits)
    if as_float:
        raw = raw.view("f2")
    text = np.frombuffer(packing.encode(), "u1")
    tensors = {
        "W_q": raw,
        "scale": scale,
        "zero": zero,
        "nbits": np.array(bits, "i4"),
        "group_size": np.array(GROUP, "i4"),
        "axis": np.array(axis, "i4"),
        "shape": np.array(SHAPE),
        "packing": text,
        "view_as_float": np.array(as_float, "u1"),
        "channel_wise": np.array(1, "u1"),
        "quant_scale": np.array(0, "u1"),
        "quant_zero": np.array(0, "u1"),
    }
    values = (table.astype("f4") - zero) * scale
    return {f"fc.{key}": leaf for key, leaf in tensors.items()}, values.reshape(SHAPE)


def _rows_together(table: Any, bits: int) -> np.ndarray[Any, Any]:
    """Return bytes, or words for 3 bits, that each have numbers of rows which are far apart."""
    count, dtype = (10, "<i4") if bits == 3 else (8 // bits, "u1")
    step = -(-len(table) // count)
    full = np.zeros((step * count, table.shape[1]), "i8")
    full[: len(table)] = table
    parts = full.reshape(count, step, -1)
    return sum(part << (bits * (count - 1 - n)) for n, part in enumerate(parts)).astype(dtype)


@pytest.mark.parametrize("as_float", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("packing", BITS)
def test_every_packing_gives_the_published_formula(packing: str, axis: int, as_float: bool) -> None:
    tensors, values = packed(packing, axis=axis, as_float=as_float)
    floats = to_floats({**tensors, "fc.bias": np.ones(3), "norm.scale": np.ones(3)})
    assert list(floats) == ["fc.weight", "fc.bias", "norm.scale"]
    leaf = floats["fc.weight"]
    assert np.array_equal(leaf.numpy(), values)
    for start, stop in [(0, 1), (3, 21), (19, 21), (39, 40), (7, 40), (5, 5)]:
        assert np.array_equal(leaf[start:stop].numpy(), values[start:stop])
    assert np.array_equal(leaf[6:30][9:15, 3:5].numpy(), values[15:21, 3:5])
    bits = BITS[packing]
    note = f"quantized: hqq, {bits} bit{'s' * (bits > 1)}, groups of 32; 1 weight"
    assert quantization_notes(StateDict(tensors)) == [note]


@pytest.mark.parametrize("axis", [0, 1])
def test_a_weight_of_a_file_is_computed_in_parts(
    axis: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.blocks.schemes.test_hqq.SHAPE", (2048, 1024))
    tensors, values = packed("4bit_u8", axis=axis)
    write_state_dict(tensors, tmp_path / "w.safetensors")
    with read_state_dict(tmp_path / "w.safetensors") as file:
        cut = parts(to_floats(file)["fc.weight"])
        assert len(cut) > 2
        assert np.array_equal(np.concatenate([part.numpy() for part in cut]), values)


@pytest.mark.parametrize(
    ("key", "leaf"),
    [
        ("shape", np.array([41, 96])),
        ("shape", np.array([1 << 62, 1 << 62])),
        ("shape", np.array([-40, 96])),
        ("group_size", np.array(0)),
        ("group_size", np.array(-32)),
        ("group_size", np.array(64)),
        ("axis", np.array(2)),
        ("packing", np.frombuffer(b"9bit_u8", "u1")),
        ("packing", np.zeros(1000, "u1")),
        ("scale", np.ones((7, 1), "f4")),
        ("zero", np.ones((120, 1), "i4")),
        ("W_q", np.ones((60, 31), "u1")),
        ("W_q", np.ones((59, 32), "u1")),
        ("nbits", np.array(np.inf)),
    ],
)
def test_what_does_not_fit_is_named(key: str, leaf: Any) -> None:
    tensors, _ = packed("4bit_u8", axis=1)
    with pytest.raises(StateDictError, match=r"fc\.W_q .*get the file again"):
        to_floats({**tensors, f"fc.{key}": leaf})["fc.weight"].numpy()


def test_packed_scales_and_what_is_missing_are_not_guessed_at() -> None:
    tensors, _ = packed("4bit_u8", axis=1)
    without = {key: leaf for key, leaf in tensors.items() if key != "fc.axis"}
    for given in (without, {**tensors, "fc.quant_scale": np.array(1, "u1")}):
        with pytest.raises(StateDictError, match=r"fc\.W_q; .*tool that packed"):
            to_floats(given)


@pytest.mark.slow
@pytest.mark.parametrize("as_float", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("bits", [8, 6, 5, 4, 3, 2, 1])
def test_hqq_gives_the_same_values(bits: int, axis: int, as_float: bool) -> None:
    torch = pytest.importorskip("torch")
    own = pytest.importorskip("hqq.core.quantize", reason="hqq is not installed")
    config = own.BaseQuantizeConfig(nbits=bits, group_size=64, axis=axis, view_as_float=as_float)
    linear = torch.nn.Linear(128, 80)
    layer = own.HQQLinear(linear, config, compute_dtype=torch.float32, device="cpu")
    floats = to_floats({f"fc.{key}": leaf for key, leaf in layer.state_dict().items()})
    assert list(floats) == ["fc.weight", "fc.bias"]
    assert np.array_equal(floats["fc.weight"].numpy(), layer.dequantize().numpy())
