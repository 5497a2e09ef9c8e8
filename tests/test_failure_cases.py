"""Failures of real users that concern loading, by the numbers of a list of such cases.

"Today" marks what the usual tool does. The cases of layouts, files and conversion are tested with
those rooms.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_model
from torch import nn

from caten_sd.errors import CatenError, LoadError
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.repairs import fill, trim_rows
from caten_sd.loading.report import Outcome
from caten_sd.objects.extract import get_state_dict


def keys_of(plan: object, outcome: Outcome) -> list[str]:
    return [row.key for row in plan.of(outcome)]


def bits(model: nn.Module) -> dict[str, bytes]:
    return {key: leaf.numpy().tobytes() for key, leaf in model.state_dict().items()}


def two_linears() -> nn.Module:
    return nn.ModuleDict({"fc1": nn.Linear(3, 4), "fc2": nn.Linear(4, 2)})


def ones_like(model: nn.Module) -> dict[str, torch.Tensor]:
    return {key: torch.ones_like(leaf) for key, leaf in model.state_dict().items()}


def test_case_01_wrappers_in_the_files_keys() -> None:
    model = nn.ModuleDict({"fc": nn.Linear(3, 2)})
    file = {f"module._orig_mod.{key}": leaf for key, leaf in ones_like(model).items()}
    report = plan_load(model, file).apply()
    assert report.verdict.startswith("2 of 2 slots")
    assert report.notes == ['stripped "module._orig_mod." from 2 keys']
    assert (model.fc.weight == 1).all()
    # Today: loads nothing and returns normally.
    assert model.load_state_dict(file, strict=False).missing_keys == ["fc.weight", "fc.bias"]


def test_case_02_a_real_child_called_module() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(3, 2, bias=False)

    model = Outer()
    plan = plan_load(model, {"module.weight": torch.ones(2, 3)})
    assert plan.fits
    assert not plan.notes
    # Today: torch's own helper eats the child.
    eaten = {"module.weight": torch.ones(2, 3)}
    nn.modules.utils.consume_prefix_in_state_dict_if_present(eaten, "module.")
    assert list(eaten) == ["weight"]


@pytest.mark.parametrize("mode", [{}, {"silent": True}, {"allow_missing": "*"}])
def test_case_03_nothing_loaded_is_an_error(mode: dict[str, object]) -> None:
    model = nn.ModuleDict({"foo": nn.Linear(2, 2)})
    file = {f"x{key}": leaf for key, leaf in model.state_dict().items()}
    with pytest.raises(LoadError, match="nothing would be loaded"):
        load_state_dict(model, file, **mode)


def test_case_04_a_key_below_a_tensor_is_in_the_file_only() -> None:
    model = two_linears()
    file = {**ones_like(model), "fc1.weight.bad_key": torch.ones(1)}
    plan = plan_load(model, file)
    assert keys_of(plan, Outcome.UNEXPECTED) == ["fc1.weight.bad_key"]
    assert "fc1.weight" in keys_of(plan, Outcome.LOADED)


def test_case_05_rules_that_make_two_keys_one(tmp_path: Path) -> None:
    model = nn.ModuleDict({"encoder": nn.ParameterDict({"w": torch.zeros(1)})})
    file = {"enc.w": torch.ones(1), "encoder.w": torch.ones(1)}
    with pytest.raises(LoadError, match=r"enc\.w and encoder\.w"):
        load_state_dict(model, file, rename={"enc.": "encoder."})
    assert model.encoder["w"].item() == 0


def test_case_06_a_custom_parameter_named_gamma_is_untouched() -> None:
    model = nn.ModuleDict({"block": nn.ParameterDict({"gamma": torch.zeros(2)})})
    plan = plan_load(model, {"block.gamma": torch.ones(2)})
    assert [(row.key, row.source) for row in plan.rows] == [("block.gamma", "block.gamma")]
    assert plan.fits


def test_case_07_thirty_two_layers_in_twenty_lines() -> None:
    model = nn.ModuleDict(
        {
            "layers": nn.ModuleList(
                nn.ModuleDict({name: nn.Linear(2, 2) for name in ("q", "k", "v")})
                for _ in range(32)
            )
        }
    )
    file = {k: leaf for k, leaf in ones_like(model).items() if not k.endswith(("q.bias", "k.bias"))}
    report = plan_load(model, file).apply()
    text = str(report)
    assert len(text.splitlines()) <= 20
    assert "layers.{0..31}." in text
    missing = {f"layers.{layer}.{name}.bias" for layer in range(32) for name in "qk"}
    assert set(keys_of(report, Outcome.MISSING)) == missing
    assert len(missing) == 64


def test_case_08_a_file_of_two_trees_needs_a_root(tmp_path: Path) -> None:
    model = two_linears()
    file, other = ones_like(model), {k: leaf * 2 for k, leaf in ones_like(model).items()}
    optimizer = torch.optim.Adam(model.parameters()).state_dict()
    both = {"model": file, "ema": other, "optimizer": optimizer, "epoch": 3}
    torch.save(both, tmp_path / "run.pt")
    with pytest.raises(CatenError, match=r"'model'.*'ema'"):
        read_state_dict(tmp_path / "run.pt")
    load_state_dict(model, read_state_dict(tmp_path / "run.pt", root="ema"), strict=True)
    assert (model.fc1.weight == 2).all()
    torch.save({"net": file, "epoch": 3}, tmp_path / "net.pt")
    chosen = read_state_dict(tmp_path / "net.pt")
    assert "its tree 'net'" in chosen.origin
    assert "its tree 'net'" in str(plan_load(model, chosen))
    load_state_dict(model, chosen, strict=True)
    assert (model.fc1.weight == 1).all()


def test_case_10_buffers_that_the_model_computes() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c_attn = nn.Linear(4, 12)
            self.register_buffer("bias", torch.ones(1, 1, 8, 8).tril(), persistent=False)
            self.register_buffer("masked_bias", torch.tensor(-1e4), persistent=False)

    model = nn.ModuleDict({"h": nn.ModuleList([nn.ModuleDict({"attn": Attention()})])})
    file = ones_like(model)
    old = {"h.0.attn.bias": torch.zeros(1, 1, 8, 8), "h.0.attn.masked_bias": torch.tensor(0.0)}
    plan = plan_load(model, {**file, **old})
    assert plan.fits
    assert keys_of(plan, Outcome.COMPUTED) == list(old)
    plan.apply()
    assert model.h[0].attn.bias.sum() == 36
    # A real parameter of that name is loaded.
    other = nn.ModuleDict({"blocks": nn.ModuleList([nn.ModuleDict({"attn": nn.Linear(2, 3)})])})
    load_state_dict(other, ones_like(other), strict=True)
    assert (other.blocks[0].attn.bias == 1).all()


def test_case_11_a_padded_vocabulary_without_biases() -> None:
    model = nn.ModuleDict({"wte": nn.Embedding(50257, 2), "lm_head": nn.Linear(2, 50257)})
    file = {"wte.weight": torch.ones(50304, 2), "lm_head.weight": torch.ones(50304, 2)}
    with pytest.raises(LoadError) as caught:
        load_state_dict(model, file, strict=True)
    text = str(caught.value)
    assert "wte.weight has 47 rows more" in text
    assert "lm_head.weight has 47 rows more" in text
    assert "1 bias is absent" in text
    rules = {"wte.weight": trim_rows(), "lm_head.weight": trim_rows(), "*.bias": fill(0.0)}
    report = plan_load(model, file, on_mismatch=rules).apply()
    assert report.fits
    assert {row.key: row.note.partition(",")[0] for row in report.rows} == {
        "wte.weight": "trim_rows()",
        "lm_head.weight": "trim_rows()",
        "lm_head.bias": "fill(0.0)",
    }
    assert (model.wte.weight == 1).all()
    assert not model.lm_head.bias.any()


def test_case_16_casts_are_counted_with_their_largest_error() -> None:
    model = two_linears().bfloat16()
    file = {key: leaf + 1e-3 for key, leaf in ones_like(model.float()).items()}
    model.bfloat16()
    report = plan_load(model, file).apply()
    assert len(report.to_dict()["groups"]["loaded with a change of dtype"]) == 4
    assert max(row.error for row in report.rows) == pytest.approx(1e-3, rel=0.01)
    assert "largest error 0.001" in str(report)


def test_case_17_a_float_into_an_integer() -> None:
    model = nn.Module()
    model.register_buffer("count", torch.tensor(0))
    with pytest.raises(LoadError):
        load_state_dict(model, {"count": torch.tensor(2.8699)})
    assert model.count.item() == 0
    model.load_state_dict({"count": torch.tensor(2.8699)})
    assert model.count.item() == 2  # today


@pytest.mark.parametrize("name", ["wte.weight", "lm_head.weight"])
def test_case_18_one_of_two_tied_names(name: str) -> None:
    model = nn.ModuleDict({"wte": nn.Embedding(5, 3), "lm_head": nn.Linear(3, 5, bias=False)})
    model.lm_head.weight = model.wte.weight
    load_state_dict(model, {name: torch.ones(5, 3)}, strict=True)
    assert (model.lm_head.weight == 1).all()
    assert model.lm_head.weight is model.wte.weight


def test_case_19_a_tied_model_through_a_file(tmp_path: Path) -> None:
    def tied() -> nn.Module:
        model = nn.ModuleDict({"wte": nn.Embedding(5, 3), "lm_head": nn.Linear(3, 5, bias=False)})
        model.lm_head.weight = model.wte.weight
        return model

    saved, path = tied(), tmp_path / "tied.safetensors"
    write_state_dict(get_state_dict(saved), path)
    again = read_state_dict(path)
    assert set(again) == {"wte.weight", "lm_head.weight"}
    model = tied()
    load_state_dict(model, again, strict=True)
    assert torch.equal(model.wte.weight, saved.wte.weight)
    by_reference = tied()
    load_model(by_reference, path)
    assert torch.equal(by_reference.wte.weight, saved.wte.weight)


def test_case_21_one_element_into_no_axes() -> None:
    model = nn.Module()
    model.scale = nn.Parameter(torch.tensor(0.0))
    report = plan_load(model, {"scale": torch.tensor([7.0])}).apply()
    assert model.scale.item() == 7
    assert "one element into a slot without axes" in str(report)
    with pytest.raises(LoadError):
        load_state_dict(model, {"scale": torch.tensor([7.0, 8.0])})


def test_case_22_one_wrong_shape_and_nothing_is_overwritten() -> None:
    model = two_linears()
    file = ones_like(model)
    file["fc2.bias"] = torch.ones(9)
    before = bits(model)
    with pytest.raises(LoadError, match="nothing was changed"):
        load_state_dict(model, file, strict=True)
    assert bits(model) == before
    with pytest.raises(RuntimeError):
        model.load_state_dict(file)
    changed = [key for key, data in bits(model).items() if data != before[key]]
    assert len(changed) == 3  # today


@pytest.mark.parametrize("turn", [1, -1], ids=["old to new", "new to old"])
def test_case_28_both_spellings_of_weight_norm(turn: int) -> None:
    def old(module: nn.Module) -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return nn.utils.weight_norm(module)

    spellings = (old, nn.utils.parametrizations.weight_norm)[::turn]
    saved, model = (spell(nn.Linear(3, 2)) for spell in spellings)
    load_state_dict(model, saved.state_dict(), strict=True)
    assert torch.equal(model(torch.ones(1, 3)), saved(torch.ones(1, 3)))
