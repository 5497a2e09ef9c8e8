"""Integers of compressed-tensors, packed in words and one a byte."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from caten_sd.blocks.unpacked_weights import quantization_notes, to_floats
from caten_sd.errors import StateDictError
from caten_sd.state.state_dict import StateDict

INPUTS, OUTPUTS = 96, 64


def words(numbers: Any, bits: int) -> np.ndarray[Any, Any]:
    """Return rows of numbers as words of 32 bits, by Python's integers."""
    rows = []
    for row in numbers:
        whole = sum(int(number) << (bits * place) for place, number in enumerate(row))
        count = -(-len(row) * bits // 32)
        rows.append(np.frombuffer(whole.to_bytes(4 * count, "little"), "<i4"))
    return np.stack(rows)


def packed(
    bits: int, *, groups: int, zeros: bool = False, ordered: bool = True
) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """Return the tensors of a random weight, and its float32 values."""
    random = np.random.default_rng(bits)
    half = 1 << (bits - 1)
    numbers = random.integers(-half, half, (OUTPUTS, INPUTS))
    scales = random.random((OUTPUTS, groups)).astype("f2")
    points = random.integers(-half, half, (OUTPUTS, groups)) * zeros
    index = np.arange(INPUTS) // (INPUTS // groups)
    index = index if ordered else random.permutation(index)
    tensors = {
        "fc.weight_packed": words(numbers + half, bits),
        "fc.weight_scale": scales,
        "fc.weight_shape": np.array([OUTPUTS, INPUTS]),
    }
    if zeros:
        tensors["fc.weight_zero_point"] = np.ascontiguousarray(words((points + half).T, bits).T)
    if not ordered:
        tensors["fc.weight_g_idx"] = index.astype("i4")
    return tensors, (numbers - points[:, index]).astype("f4") * scales.astype("f4")[:, index]


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize(
    ("groups", "zeros", "ordered"), [(3, True, True), (1, True, True), (3, True, False)]
)
def test_all_bits_give_the_published_formula(
    bits: int, groups: int, zeros: bool, ordered: bool
) -> None:
    tensors, values = packed(bits, groups=groups, zeros=zeros, ordered=ordered)
    floats = to_floats({**tensors, "fc.bias": np.ones(3)})
    assert list(floats) == ["fc.weight", "fc.bias"]
    assert np.array_equal(floats["fc.weight"].numpy(), values)
    assert np.array_equal(floats["fc.weight"][7:41, 5:].numpy(), values[7:41, 5:])
    kind = "groups of 32" if groups > 1 else "a scale for each row"
    note = f"quantized: compressed-tensors, {bits} bit{'s' * (bits > 1)}, {kind}; 1 weight"
    assert quantization_notes(StateDict(tensors)) == [note]


@pytest.mark.parametrize("shape", [(), (1,), (OUTPUTS,), (OUTPUTS, 1), (OUTPUTS, 3)])
@pytest.mark.parametrize("zeros", [True, False])
def test_a_byte_each(shape: tuple[int, ...], zeros: bool) -> None:
    random = np.random.default_rng(2)
    weight = random.integers(-128, 128, (OUTPUTS, INPUTS)).astype("i1")
    scale = np.asarray(random.random(shape), "f4")
    point = np.asarray(random.integers(-128, 128, shape) * zeros, "i1")
    tensors = {"fc.weight": weight, "fc.weight_scale": scale, "fc.weight_zero_point": point}
    if not zeros:
        del tensors["fc.weight_zero_point"]
    full = [np.broadcast_to(_table(each), weight.shape) for each in (point, scale)]
    expected = (weight - full[0].astype("f4")) * full[1]
    leaf = to_floats(tensors)["fc.weight"]
    assert np.array_equal(leaf.numpy(), expected)
    assert np.array_equal(leaf[3:9].numpy(), expected[3:9])


@pytest.mark.parametrize("dtype", ["i1", "i4"])
@pytest.mark.parametrize("shape", [(8,), (2, 8)])
def test_zero_points_next_to_bytes_are_not_in_words(dtype: str, shape: tuple[int, ...]) -> None:
    given = {"fc.weight": np.full(shape, 5, "i1"), "fc.weight_scale": np.full(1, 2, "f4")}
    floats = to_floats({**given, "fc.weight_zero_point": np.full(1, 3, dtype)})
    assert floats["fc.weight"].numpy().tolist() == np.full(shape, 4.0).tolist()


def _table(each: Any) -> Any:
    table = each.reshape(-1, 1) if each.ndim < 2 else each
    return table.repeat(INPUTS // table.shape[1], 1)


@pytest.mark.parametrize(
    ("key", "leaf", "said"),
    [
        ("shape", np.array([OUTPUTS, 95]), "12"),
        ("shape", np.array([63, INPUTS]), r"\[64, 12\].*\[63, 96\]"),
        ("shape", np.array([1 << 62, 1 << 62]), r"\[64, 12\].*stated"),
        ("shape", np.array([-1, INPUTS]), r"\[-1, 96\]"),
        ("shape", np.array([OUTPUTS, INPUTS, 1]), "12"),
        ("shape", np.array([OUTPUTS, 0]), "12"),
        ("scale", np.ones((OUTPUTS, 7), "f2"), r"\[64, 7\]"),
        ("scale", np.ones((OUTPUTS, 0), "f2"), r"\[64, 0\]"),
        ("zero_point", np.ones((7, 3), "i4"), r"\[7, 3\]"),
        ("g_idx", np.ones(95, "i4"), r"\[95\]"),
    ],
)
def test_tensors_that_do_not_fit_are_named(key: str, leaf: Any, said: str) -> None:
    tensors, _ = packed(4, groups=3, zeros=True, ordered=False)
    if key == "shape" and leaf[-1] == 95:
        leaf = np.array([OUTPUTS, 200])
    with pytest.raises(StateDictError, match=rf"fc\.weight_packed.*{said}.*get the file again"):
        to_floats({**tensors, f"fc.weight_{key}": leaf})


def test_a_group_that_is_not_there_is_refused() -> None:
    tensors, _ = packed(4, groups=3, ordered=False)
    leaf = to_floats({**tensors, "fc.weight_g_idx": np.full(INPUTS, 3, "i4")})["fc.weight"]
    with pytest.raises(StateDictError, match=r"g_idx.*3.*3"):
        leaf.numpy()


def test_bits_that_config_json_contradicts_are_refused_and_few_inputs_need_it() -> None:
    state = StateDict(packed(4, groups=3)[0])
    state.config = stated(8)
    with pytest.raises(StateDictError, match=r"fc\.weight_packed has 4 bits.*states 8"):
        to_floats(state)
    few = {
        "fc.weight_packed": np.ones((2, 1), "i4"),
        "fc.weight_scale": np.ones((2, 1), "f4"),
        "fc.weight_shape": np.array([2, 6]),
    }
    with pytest.raises(StateDictError, match=r"1 or 2 or 3 or 4 or 5 bits.*none"):
        to_floats(few)
    assert to_floats(StateDict(few, config=stated(4)))["fc.weight"].numpy()[0, :2].tolist() == [
        -7,
        -8,
    ]


def stated(bits: int) -> dict[str, Any]:
    group = {"weights": {"num_bits": bits, "group_size": 32}, "targets": ["Linear"]}
    method = {"quant_method": "compressed-tensors", "format": "pack-quantized"}
    return {"quantization_config": {**method, "config_groups": {"group_0": group}}}


def scheme_of_library(name: str) -> tuple[Any, Any, Any]:
    """Return the compressor, its scheme and the scales of a case."""
    torch = pytest.importorskip("torch")
    reason = "compressed-tensors is not installed"
    library = pytest.importorskip("compressed_tensors.quantization", reason=reason)
    from compressed_tensors.compressors.base import BaseCompressor

    shapes = {"group": (24, 4), "channel": (24, 1), "tensor": (1,), "block": (1, 1)}
    kind, strategy, bits, extra = CASES[name]
    strategy_name = strategy.replace("tensor_group", "group")
    shape = (24, 128 // extra["group_size"]) if "group_size" in extra else shapes[strategy_name]
    arguments = {"num_bits": int(bits), "strategy": strategy, "symmetric": True, **extra}
    weights = library.QuantizationArgs(**arguments)
    scheme = library.QuantizationScheme(targets=["Linear"], weights=weights)
    scale = torch.rand(shape) + 0.5
    if kind.startswith("mx"):
        scale = 2.0 ** torch.randint(-3, 0, shape)
    if kind.startswith("nv"):
        scale = (100 * scale).to(torch.float8_e4m3fn).float()
    return (
        BaseCompressor.get_value_from_registry(kind),
        scheme,
        scale / 1 if bits < 8 else scale / 50,
    )


FLOAT: dict[str, Any] = {"type": "float"}
CASES: dict[str, tuple[str, str, int, dict[str, Any]]] = {
    "int4 in groups": ("pack-quantized", "group", 4, {"group_size": 32}),
    "int3 in rows": ("pack-quantized", "channel", 3, {}),
    "int8 in groups": ("pack-quantized", "group", 8, {"group_size": 32}),
    "int4 with zero points": ("pack-quantized", "group", 4, {"group_size": 32, "symmetric": False}),
    "int5 with zero points": ("pack-quantized", "channel", 5, {"symmetric": False}),
    "int4 of a tensor": ("pack-quantized", "tensor", 4, {}),
    "int8 in bytes": ("int-quantized", "channel", 8, {}),
    "int8 in bytes with zero points": ("int-quantized", "channel", 8, {"symmetric": False}),
    "fp8 in rows": ("float-quantized", "channel", 8, FLOAT),
    "fp8 of a tensor": ("float-quantized", "tensor", 8, FLOAT),
    "fp8 in blocks": ("float-quantized", "block", 8, {**FLOAT, "block_structure": [128, 128]}),
    "mxfp8": ("mxfp8-quantized", "group", 8, {**FLOAT, "group_size": 32}),
    "mxfp4": ("mxfp4-pack-quantized", "group", 4, {**FLOAT, "group_size": 32}),
    "nvfp4": ("nvfp4-pack-quantized", "tensor_group", 4, {**FLOAT, "group_size": 16}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_compressed_tensors_gives_the_same_values(name: str) -> None:
    torch = pytest.importorskip("torch")
    compressor, scheme, scale = scheme_of_library(name)
    given = {"weight": torch.randn(24, 128), "weight_scale": scale}
    if not scheme.weights.symmetric:
        half = 1 << (scheme.weights.num_bits - 1)
        given["weight_zero_point"] = torch.randint(-half, half, scale.shape).to(torch.int8)
    if name == "nvfp4":
        given["weight_global_scale"] = torch.tensor([333.0])
    if name.startswith(("mx", "nv")):
        scheme.weights.scale_dtype = torch.float8_e4m3fn if name == "nvfp4" else torch.uint8
    file = compressor.compress(given, scheme)
    expected = compressor.decompress(file, scheme)["weight"]
    config = {"quantization_config": {"quant_method": "compressed-tensors"}}
    tensors = {f"fc.{key}": leaf.contiguous() for key, leaf in file.items()}
    found = to_floats(StateDict(tensors, config=config))["fc.weight"].numpy()
    if expected.dtype == torch.bfloat16:
        found = found.astype(ml_dtypes.bfloat16)
    assert np.array_equal(found.astype("f4"), expected.float().numpy())
