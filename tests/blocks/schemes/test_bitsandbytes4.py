"""NF4 and FP4 of bitsandbytes, with scales in floats and with scales that are packed themselves."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from caten_sd.blocks.unpacked_weights import quantization_notes, to_floats
from caten_sd.errors import StateDictError
from caten_sd.state.state_dict import StateDict

SHAPE, BLOCK, NESTED = (24, 32), 64, 4


def packed(*, nested: bool, **stated: Any) -> tuple[dict[str, Any], np.ndarray]:
    """Return the tensors of a random weight and its values, each computed by itself."""
    random = np.random.default_rng(2)
    numbers, table = random.integers(0, 16, SHAPE), random.random(16).astype("f4")
    flat, count = numbers.reshape(-1), numbers.size // BLOCK
    scales, outer = random.random(count).astype("f4"), random.random(count // NESTED).astype("f4")
    codes, codebook = random.integers(0, 256, count), random.random(256).astype("f4")
    if nested:
        scales = codebook[codes] * outer[np.arange(count) // NESTED] + np.float32(0.25)
    values = table[flat] * scales[np.arange(flat.size) // BLOCK]
    said = {"quant_type": "nf4", "blocksize": BLOCK, "shape": SHAPE, "dtype": "float16"}
    said |= {"nested_blocksize": NESTED, "nested_offset": 0.25} if nested else {}
    text = json.dumps(said | stated).encode()
    tensors = {
        "fc.weight": (flat[::2] << 4 | flat[1::2]).astype("u1")[:, None],
        "fc.weight.absmax": codes.astype("u1") if nested else scales,
        "fc.weight.quant_map": table,
        "fc.weight.quant_state.bitsandbytes__nf4": np.frombuffer(text, "u1"),
    }
    if nested:
        tensors |= {
            "fc.weight.nested_absmax": outer,
            "fc.weight.nested_quant_map": codebook,
        }
    return tensors, values.reshape(SHAPE)


@pytest.mark.parametrize("nested", [False, True])
def test_the_values_are_those_of_the_map_times_their_scale(nested: bool) -> None:
    tensors, values = packed(nested=nested)
    floats = to_floats({"fc.bias": np.ones(1), **tensors})
    assert list(floats) == ["fc.bias", "fc.weight"]
    assert np.array_equal(floats["fc.weight"].numpy(), values)
    assert np.array_equal(floats["fc.weight"][10:17, 3:9].numpy(), values[10:17, 3:9])
    note = quantization_notes(StateDict(tensors))[0]
    assert note.startswith("quantized: bitsandbytes, 4 bits, nf4, blocks of 64")
    assert ("packed scales" in note) == nested


@pytest.mark.parametrize(
    "stated",
    [
        {"shape": [1 << 40, 1 << 20]},
        {"shape": [24, 33]},
        {"shape": "24"},
        {"shape": []},
        {"shape": [24, -32]},
        {"blocksize": 0},
        {"blocksize": 63},
        {"blocksize": 128},
        {"nested_blocksize": 0},
        {"nested_offset": "x"},
        {"shape": [1] * 65 + [24, 32]},
    ],
)
def test_a_description_that_the_tensors_contradict_is_refused(stated: dict[str, Any]) -> None:
    tensors, _ = packed(nested=True, **stated)
    with pytest.raises(StateDictError, match=r"fc\.weight.*get the file again"):
        to_floats(tensors)


@pytest.mark.parametrize("stated", [{"blocksize": 1 << 40}, {"nested_blocksize": 1 << 40}])
def test_a_block_that_is_larger_than_the_weight_takes_no_memory(stated: dict[str, int]) -> None:
    tensors, _ = packed(nested=True, **stated)
    for key, count in (("absmax", 1), ("nested_absmax", 1)):
        whole = tensors[f"fc.weight.{key}"]
        tensors[f"fc.weight.{key}"] = whole[:count] if "blocksize" in stated else whole
    tensors["fc.weight.nested_absmax"] = tensors["fc.weight.nested_absmax"][:1]
    assert to_floats(tensors)["fc.weight"].numpy().shape == SHAPE


@pytest.mark.parametrize("count", [1, 127, 129])
def test_an_odd_count_of_values_leaves_half_a_byte_out(count: int) -> None:
    tensors, values = packed(nested=False, shape=[count])
    tensors["fc.weight"] = tensors["fc.weight"][: -(-count // 2)]
    tensors["fc.weight.absmax"] = tensors["fc.weight.absmax"][: -(-count // BLOCK)]
    leaf = to_floats(tensors)["fc.weight"]
    assert leaf.numpy().tolist() == values.reshape(-1)[:count].tolist()
    assert leaf[count - 1 : count].numpy().tolist() == [values.reshape(-1)[count - 1]]


@pytest.mark.parametrize("key", ["fc.weight", "fc.weight.absmax"])
def test_tensors_that_do_not_lie_along_their_first_axis_are_not_cut(key: str) -> None:
    """bitsandbytes does not write them so, and a range of rows would not be one of values."""
    tensors, _ = packed(nested=False)
    tensors[key] = tensors[key].reshape(2, -1)
    with pytest.raises(StateDictError, match=r"no scheme.*fc\.weight"):
        to_floats(tensors)


@pytest.mark.slow
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_bitsandbytes_gives_the_same_values(kind: str, nested: bool) -> None:
    functional = pytest.importorskip("bitsandbytes.functional", reason="it is the oracle")
    torch = pytest.importorskip("torch")
    given = torch.randn(96, 256)
    packed, state = functional.quantize_4bit(given, quant_type=kind, compress_statistics=nested)
    expected = functional.dequantize_4bit(packed, state).numpy()
    others = {f"fc.weight.{key}": leaf for key, leaf in state.as_dict(packed=True).items()}
    found = to_floats({"fc.weight": packed, **others})["fc.weight"]
    assert np.array_equal(found.numpy(), expected)
    assert np.array_equal(found[64:96, 3:9].numpy(), expected[64:96, 3:9])
