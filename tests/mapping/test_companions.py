"""Scales, zero points and codes go through a layout with the packed weight that they belong to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from caten_sd import read_state_dict, to_floats, write_state_dict
from caten_sd.errors import LayoutError
from caten_sd.layout import Concat, Layout, NegExp, Rearrange, Rotary, Row, Stack, Transpose
from caten_sd.mapping.layout_plan import plan_layout, to_layout
from caten_sd.mapping.operations import Operation
from caten_sd.state.leaf import spec
from tests.blocks.schemes import test_mxfp4, test_nvfp4
from tests.state.test_packed_weights import UNITS

RENAMED = Layout(
    "renamed",
    [
        Row("blocks.{i}.out.weight", "layers.{i}.fc.weight"),
        Row("blocks.{i}.up", "layers.{i}.experts.up"),
        Row("blocks.{i}.w", "layers.{i}.w"),
        Row("blocks.{i}.norm", "layers.{i}.norm"),
    ],
)


@pytest.mark.parametrize("name", UNITS)
def test_every_unit_is_renamed_together_and_back(name: str) -> None:
    unit = {f"layers.3.{key}": leaf for key, leaf in UNITS[name].items()}
    given = {"layers.3.norm": np.ones(3), **unit}
    there = plan_layout(given, RENAMED.canonical, from_layout=RENAMED)
    assert there.findings.untaken == []
    endings = {key.removeprefix("layers.3.").replace("experts.", "") for key in unit}
    expected = {f"blocks.3.{ending.replace('fc.', 'out.')}" for ending in endings}
    assert {key for key in there.state_dict if "norm" not in key} == expected
    back = to_layout(there.state_dict, RENAMED, from_layout=RENAMED.canonical, silent=True)
    assert list(back) == list(given)
    assert [id(leaf) for leaf in back.values()] == [id(leaf) for leaf in given.values()]


def test_a_unit_that_no_row_takes_stays_as_it_is_and_is_named() -> None:
    given = {"layers.0.norm": np.ones(3), **{f"x.{k}": v for k, v in UNITS["gptq"].items()}}
    plan = plan_layout(given, RENAMED.canonical, from_layout=RENAMED)
    assert list(plan.state_dict) == ["blocks.0.norm", *list(given)[1:]]
    assert sorted(plan.findings.untaken) == sorted(list(given)[1:])
    half = Layout("half", [Row("blocks.{i}.norm")], base=None)
    there = to_layout({"blocks.0.norm": np.ones(1), **given}, half, from_layout=half, silent=True)
    assert list(there) == ["blocks.0.norm", *given]


def test_a_layout_with_rows_for_the_companions_says_itself_what_becomes_of_them() -> None:
    layout = Layout(
        "own", [Row("a.weight", "b.weight"), Row("a.weight_scale_inv", "b.weight_scale_inv")]
    )
    unit = {key.replace("fc.", "b."): leaf for key, leaf in UNITS["deepseek"].items()}
    there = to_layout(unit, layout.canonical, from_layout=layout, strict=True)
    assert list(there) == ["a.weight", "a.weight_scale_inv"]


ROWS = {"q": 256, "k": 128, "v": 128}


def fp8(rows: int, scales: tuple[int, ...], seed: int = 0) -> tuple[Any, Any]:
    bits = np.random.default_rng(seed)
    weight = bits.integers(-8, 8, (rows, 256)).astype(ml_dtypes.float8_e4m3fn)
    return weight, bits.random(scales, "f4")


def test_experts_are_stacked_and_heads_joined_with_their_scales() -> None:
    layout = Layout(
        "fused",
        [
            Row(tuple(f"{part}.weight" for part in ROWS), "qkv.weight", Concat(("h", "kv", "kv"))),
            Row("experts.{e}.weight", "experts.weight", Stack("e")),
        ],
    )
    given: dict[str, Any] = {}
    for seed, (part, rows) in enumerate(ROWS.items()):
        given[f"{part}.weight"], given[f"{part}.weight_scale"] = fp8(rows, (rows, 1), seed)
    for e in range(2):
        given[f"experts.{e}.weight"], scales = fp8(256, (2, 2), e)
        given[f"experts.{e}.weight_scale_inv"] = scales
    there = to_layout(given, layout, from_layout=layout.canonical, h=2, kv=1, strict=True)
    shapes = {key: spec(leaf).shape for key, leaf in there.items()}
    assert shapes == {
        "qkv.weight": (512, 256),
        "qkv.weight_scale": (512, 1),
        "experts.weight": (2, 256, 256),
        "experts.weight_scale_inv": (2, 2, 2),
    }
    scales = [given[f"{part}.weight_scale"] for part in ROWS]
    assert np.array_equal(there["qkv.weight_scale"].numpy(), np.vstack(scales))
    back = to_layout(there, layout.canonical, from_layout=layout, h=2, kv=1, strict=True)
    assert {key: id(leaf) for key, leaf in back.items()} == {k: id(v) for k, v in given.items()}


@pytest.mark.parametrize(
    ("operation", "scales"),
    [
        (Rotary(2), (2, 2)),
        (NegExp(), (256, 1)),
        (Rearrange("(a b) c -> a b c", a=2), (256, 1)),
        (Transpose(), (256,)),
    ],
)
def test_a_step_across_the_blocks_is_refused(operation: Operation, scales: tuple[int, ...]) -> None:
    layout = Layout("mine", [Row("a.weight", "b.weight", operation)])
    weight, scale = fp8(256, scales)
    given = {"a.weight": weight, "a.weight_scale_inv": scale}
    with pytest.raises(LayoutError, match=r"a\.weight \[256, 256\]: .*_scale_inv.* dequantize"):
        to_layout(given, layout, from_layout=layout.canonical)


OF_OWN_ORDER = {
    *("gptq", "awq", "bitsandbytes 4", "compressed-tensors", "mlx", "gpt-oss", "openai", "mxfp4"),
    *("nvfp4", "modelopt", "hqq", "hqq as floats", "quanto 4"),
}


@pytest.mark.parametrize("operation", [Transpose(), NegExp(), Rearrange("a b c -> (a b) c", a=2)])
@pytest.mark.parametrize("name", sorted(OF_OWN_ORDER))
def test_codes_in_an_order_of_their_own_are_never_reordered(
    name: str, operation: Operation
) -> None:
    rows = [Row("a.weight", "fc.weight", operation), Row("a.up", "experts.up", operation)]
    layout = Layout("mine", rows)
    with pytest.raises(LayoutError, match="dequantize"):
        to_layout(UNITS[name], layout.canonical, from_layout=layout, silent=True)


def test_experts_in_nvfp4_are_stacked_with_both_of_their_scales() -> None:
    layout = Layout("stacked", [Row("experts.{e}.weight", "experts.weight", Stack("e"))])
    given: dict[str, Any] = {}
    for e in range(3):
        tensors, values = test_nvfp4.packed("weight", "weight_scale_2")
        tensors["fc.weight_scale_2"] = tensors["fc.weight_scale_2"] * np.float32(2**e)
        given |= {key.replace("fc", f"experts.{e}"): leaf for key, leaf in tensors.items()}
    there = to_layout(given, layout, from_layout=layout.canonical, strict=True)
    expected = np.stack([values, values * 2, values * 4])
    assert np.array_equal(to_floats(there)["experts.weight"].numpy(), expected)
    back = to_layout(there, layout.canonical, from_layout=layout, strict=True)
    assert all(back[key] is leaf for key, leaf in given.items())


@pytest.mark.parametrize("axis", [0, 1])
def test_rows_in_mxfp4_are_joined_and_their_inputs_are_not(axis: int) -> None:
    names = tuple(f"{part}.weight" for part in "qkv")
    layout = Layout("joined", [Row(names, "qkv.weight", Concat((1, 1, 1), axis=axis))])
    given: dict[str, Any] = {}
    for part in "qkv":
        tensors, values = test_mxfp4.packed("x.weight_packed", "x.weight_scale", (4, 2))
        given |= {key.replace("x.", f"{part}."): leaf for key, leaf in tensors.items()}
    if axis:
        with pytest.raises(LayoutError, match="dequantize"):
            to_layout(given, layout, from_layout=layout.canonical)
        return
    there = to_layout(given, layout, from_layout=layout.canonical, strict=True)
    assert np.array_equal(to_floats(there)["qkv.weight"].numpy(), np.vstack([values] * 3))


def of_bitsandbytes(kind: str, **options: Any) -> dict[str, Any]:
    nn = pytest.importorskip("bitsandbytes.nn", reason="it quantizes the layer")
    layer = getattr(nn, kind)(64, 128, bias=False, **options).to("cpu")
    return dict(layer.state_dict())


def of_compressed_tensors(scheme: str) -> dict[str, Any]:
    library = pytest.importorskip("compressed_tensors", reason="it quantizes the layer")
    quantization = pytest.importorskip("compressed_tensors.quantization", exc_type=ImportError)
    torch = pytest.importorskip("torch")
    model = torch.nn.ModuleDict({"fc": torch.nn.Linear(128, 128, bias=False)})
    config = quantization.QuantizationConfig(config_groups={scheme: ["Linear"]})
    quantization.apply_quantization_config(model, config)
    torch.nn.init.constant_(model["fc"].weight_scale, 0.1)
    library.ModelCompressor(quantization_config=config).compress_model(model)
    return dict(model["fc"].state_dict())


def of_mlx() -> dict[str, Any]:
    nn = pytest.importorskip("mlx.nn", reason="it quantizes the layer")
    layer = nn.QuantizedLinear.from_linear(nn.Linear(64, 128, bias=False))
    return {name: np.array(value) for name, value in layer.parameters().items()}


def of_transformers() -> dict[str, Any]:
    module = pytest.importorskip("transformers.integrations.finegrained_fp8")
    return dict(module.FP8Linear(256, 256, block_size=(128, 128)).state_dict())


def of_autoawq() -> dict[str, Any]:
    linear = pytest.importorskip("awq.modules.linear", exc_type=ImportError)
    return dict(linear.WQLinear_GEMM(4, 32, 64, 128, False, "cpu").state_dict())


LIBRARIES: dict[str, tuple[Callable[[], dict[str, Any]], set[str]]] = {
    "bitsandbytes nf4": (
        lambda: of_bitsandbytes("Linear4bit", quant_type="nf4", compress_statistics=True),
        {"weight", "weight.absmax", "weight.nested_absmax", "weight.quant_map"}
        | {"weight.nested_quant_map", "weight.quant_state.bitsandbytes__nf4"},
    ),
    "bitsandbytes fp4": (
        lambda: of_bitsandbytes("Linear4bit", quant_type="fp4", compress_statistics=False),
        {"weight", "weight.absmax", "weight.quant_map", "weight.quant_state.bitsandbytes__fp4"},
    ),
    "bitsandbytes int8": (
        lambda: of_bitsandbytes("Linear8bitLt", has_fp16_weights=False),
        {"weight", "SCB", "weight_format"},
    ),
    "compressed-tensors W4A16": (
        lambda: of_compressed_tensors("W4A16"),
        {"weight_packed", "weight_scale", "weight_shape"},
    ),
    "compressed-tensors W8A8": (
        lambda: of_compressed_tensors("W8A8"),
        {"weight", "weight_scale"},
    ),
    "compressed-tensors FP8": (
        lambda: of_compressed_tensors("FP8"),
        {"weight", "weight_scale", "input_scale"},
    ),
    "mlx": (of_mlx, {"weight", "scales", "biases"}),
    "transformers fp8": (of_transformers, {"weight", "weight_scale_inv"}),
    "autoawq": (of_autoawq, {"qweight", "qzeros", "scales"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LIBRARIES)
def test_what_a_library_packs_moves_together_and_is_not_computed_with(
    name: str, tmp_path: Path
) -> None:
    make, names = LIBRARIES[name]
    unit = make()
    assert unit.keys() == names
    write_state_dict({f"layers.3.fc.{key}": leaf for key, leaf in unit.items()}, tmp_path / "a.pt")
    with read_state_dict(tmp_path / "a.pt") as given:
        there = to_layout(given, RENAMED.canonical, from_layout=RENAMED, silent=True)
        assert set(there) == {f"blocks.3.out.{key}" for key in names}
        back = to_layout(there, RENAMED, from_layout=RENAMED.canonical, silent=True)
        assert back.keys() == given.keys()
        assert all(back[key] is given[key] for key in given)
        across = Layout("across", [Row("layers.{i}.fc.weight", "w.{i}.weight", NegExp())])
        with pytest.raises(LayoutError, match="dequantize"):
            to_layout(given, across, from_layout=across.canonical, silent=True)
