"""A packed weight and its scales are one thing, whatever tool has written them."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

import caten_sd as sd
from caten_sd.loading.report import Outcome
from caten_sd.state.packed_weights import packed_keys

I8, U8, I32, U32 = (np.zeros((4, 4), kind) for kind in ("i1", "u1", "i4", "u4"))
FP8 = np.zeros((4, 4), ml_dtypes.float8_e4m3fn)
F4, F2 = np.ones((4,), "f4"), np.ones((4, 1), "f2")
FLOAT = np.ones((4, 4), "f4")

UNITS: dict[str, dict[str, Any]] = {
    "gptq": {"fc.qweight": I32, "fc.qzeros": I32, "fc.scales": F2, "fc.g_idx": I32},
    "awq": {"fc.qweight": I32, "fc.qzeros": I32, "fc.scales": F2},
    "bitsandbytes 8": {"fc.weight": I8, "fc.SCB": F4, "fc.weight_format": U8},
    "bitsandbytes 4": {
        "fc.weight": U8,
        "fc.weight.absmax": U8,
        "fc.weight.quant_map": F4,
        "fc.weight.nested_absmax": F4,
        "fc.weight.quant_state.bitsandbytes__nf4": U8,
    },
    "deepseek": {"fc.weight": FP8, "fc.weight_scale_inv": F4},
    "fp8": {"fc.weight": FP8, "fc.weight_scale": F4, "fc.input_scale": F4},
    "compressed-tensors": {
        "fc.weight_packed": I32,
        "fc.weight_scale": F2,
        "fc.weight_shape": I32,
        "fc.weight_zero_point": I32,
    },
    "gpt-oss": {"experts.up_blocks": U8, "experts.up_scales": U8},
    "openai": {"experts.up.blocks": U8, "experts.up.scales": U8},
    "mxfp4": {"fc.weight_packed": U8, "fc.weight_scale": U8},
    "nvfp4": {"fc.weight_packed": U8, "fc.weight_scale": FP8, "fc.weight_global_scale": F4}
    | {"fc.input_global_scale": F4},
    "modelopt": {"fc.weight": U8, "fc.weight_scale": FP8, "fc.weight_scale_2": F4}
    | {"fc.input_scale": F4, "fc.pre_quant_scale": F4},
    "hqq": {"fc.W_q": U8, "fc.scale": F2, "fc.zero": F2}
    | {f"fc.{name}": I32 for name in ("nbits", "group_size", "shape", "axis", "packing")},
    "quanto": {"fc.weight._data": I8, "fc.weight._scale": F2, "fc.input_scale": F4}
    | {"fc.output_scale": F4},
    "quanto 4": {"fc.weight._data._data": U8, "fc.weight._scale": F2, "fc.weight._shift": F2},
    "hqq as floats": {"fc.W_q": F2, "fc.scale": F2, "fc.zero": F2, "fc.nbits": I32},
    "mlx": {"fc.weight": U32, "fc.scales": F2, "fc.biases": F2},
    "bare": {"w": I8, "w_scale": F4},
}
PLAIN: list[dict[str, Any]] = [
    {"fc.weight": FLOAT, "fc.weight_scale": F4},  # a learned scale next to a float weight
    {"logit_scale": F4, "fc.weight": FLOAT},
    {"fc.weight": I8, "fc.bias": F4},
    {"norm.scale": F4, "ids": I32},
    {"fc.weight": FP8},
    {"attn.W_q": FLOAT, "attn.scale": F4},  # a weight of that name, as many attentions have
]


@pytest.mark.parametrize("name", UNITS)
def test_all_of_a_unit_is_known_and_nothing_else(name: str) -> None:
    unit, others = UNITS[name], {"fc.bias": F4, "head.weight": FLOAT, "norm.scale": F4}
    assert packed_keys({**others, **unit}).keys() == unit.keys()


@pytest.mark.parametrize("name", UNITS)
@pytest.mark.parametrize("start", ["a\"b\\c\n.d'e.", "\n", "h.0.\x00."])
def test_odd_names_have_units_too(name: str, start: str) -> None:
    unit = {start + key: leaf for key, leaf in UNITS[name].items()}
    assert packed_keys(unit).keys() == unit.keys()


@pytest.mark.parametrize("state", PLAIN)
def test_plain_weights_are_not_packed(state: dict[str, Any]) -> None:
    assert packed_keys(state) == {}


@pytest.mark.parametrize("name", UNITS)
def test_a_cast_of_other_keys_leaves_a_unit_as_it_is(name: str, tmp_path: Any) -> None:
    state = {**UNITS[name], "head.weight": FLOAT}
    sd.write_state_dict(state, tmp_path / "w.safetensors")
    dtypes = {"head.*": "bf16"}
    sd.convert(tmp_path / "w.safetensors", tmp_path / "out.safetensors", dtype=dtypes)
    with sd.read_state_dict(tmp_path / "out.safetensors") as out:
        assert {key: out[key].dtype.name for key in UNITS[name]} == {
            key: sd.extend.spec(leaf).dtype.name for key, leaf in UNITS[name].items()
        }
        assert out["head.weight"].dtype.name == "bfloat16"


@pytest.mark.parametrize("silent", [True, False])
@pytest.mark.parametrize("name", ["bitsandbytes 8", "bitsandbytes 4", "deepseek", "fp8", "mlx"])
@pytest.mark.filterwarnings("ignore::caten_sd.errors.LoadWarning")
def test_a_packed_weight_is_never_loaded_into_floats(name: str, silent: bool) -> None:
    model = torch.nn.ModuleDict({"fc": torch.nn.Linear(4, 4)})
    before = model["fc"].weight.detach().clone()
    file = {**UNITS[name], "fc.bias": F4}
    plan = sd.plan_load(model, file)
    (row,) = [row for row in plan.rows if row.key == "fc.weight"]
    assert row.outcome is Outcome.DTYPE
    assert packed_keys(file)["fc.weight"] in row.note
    sd.load_state_dict(model, file, silent=silent)
    assert torch.equal(model["fc"].weight, before)


def test_a_packed_weight_goes_into_a_slot_of_its_own_dtype() -> None:
    slots = {"w": torch.zeros(4, 4, dtype=torch.int8), "w_scale": torch.zeros(4)}
    sd.load_state_dict(slots, {"w": I8 + 3, "w_scale": F4}, strict=True)
    assert slots["w"].tolist() == (I8 + 3).tolist()


def test_a_layout_moves_a_unit_together_or_refuses() -> None:
    layout = sd.layout.Layout("mine", [sd.layout.Row("x.weight", "fc.weight")])
    there = sd.to_layout(UNITS["deepseek"], layout.canonical, from_layout=layout, strict=True)
    assert list(there) == ["x.weight", "x.weight_scale_inv"]
    other = sd.layout.Layout("mine", [sd.layout.Row("x.kernel", "fc.weight")])
    with pytest.raises(sd.LayoutError, match=r"fc\.weight .* fc\.SCB"):
        sd.to_layout(UNITS["bitsandbytes 8"], other.canonical, from_layout=other, silent=True)
