"""Layers that pack their weight and compute its scales for the state dict, as bitsandbytes does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from caten_sd.errors import LoadError
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.report import Outcome
from caten_sd.objects.extract import get_state_dict


class Scales:
    """What bitsandbytes calls a QuantState; part of it goes into a file as packed text."""

    def __init__(self, absmax: torch.Tensor, offset: float) -> None:
        self.absmax, self.code, self.offset = absmax, torch.arange(16.0) / 16, offset

    def as_dict(self) -> dict[str, torch.Tensor]:
        packed = torch.tensor([self.offset]).view(torch.uint8).clone()
        return {"absmax": self.absmax, "quant_map": self.code, "quant_state.bnb__nf4": packed}


class FourBits(nn.Module):
    """``bitsandbytes.nn.Linear4bit``: it saves its scales, and takes none back."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        packed = torch.randint(0, 16, (8, 1), dtype=torch.uint8, generator=random)
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.bias = nn.Parameter(torch.rand(2, generator=random))
        self.weight.scales = Scales(torch.rand(2, generator=random), float(seed))  # type: ignore

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name, value in self.weight.scales.as_dict().items():  # type: ignore
            destination[f"{prefix}weight.{name}"] = value if keep_vars else value.detach()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scales: Scales = self.weight.scales  # type: ignore
        values = (scales.code[self.weight.long()].reshape(2, 4) + scales.offset).mT * scales.absmax
        return x @ values + self.bias


def drop_format(state: Any, prefix: str, *rest: Any) -> None:
    """As ``maybe_rearrange_weight``, which looks for the weight first."""
    if state.get(f"{prefix}weight") is not None:
        state.pop(f"{prefix}weight_format", "row")


class EightBits(nn.Module):
    """``bitsandbytes.nn.Linear8bitLt``: its own method takes the scales back."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        packed = torch.randint(-9, 9, (2, 4), dtype=torch.int8, generator=random)
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.scb = torch.rand(2, generator=random)
        self._register_load_state_dict_pre_hook(drop_format)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}SCB"] = self.scb
        destination[f"{prefix}weight_format"] = torch.tensor(0, dtype=torch.uint8)

    def _load_from_state_dict(self, state: Any, prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state, prefix, *rest)
        unexpected = rest[3]
        if f"{prefix}SCB" in unexpected:
            self.scb.copy_(state[f"{prefix}SCB"])
            unexpected.remove(f"{prefix}SCB")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ (self.weight.float().mT * self.scb)


X = torch.ones(3, 4)


def computed(model: nn.Module) -> list[float]:
    found: list[float] = model(X).flatten().tolist()
    return found


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("scales", [True, False])
def test_packed_weights_stay_where_their_scales_are_not_taken_back(
    assign: bool, scales: bool
) -> None:
    model, saved = nn.Sequential(FourBits(1)), nn.Sequential(FourBits(2))
    file = {k: leaf for k, leaf in saved.state_dict().items() if scales or "weight." not in k}
    before = computed(FourBits(1))
    plan = plan_load(model, file, assign=assign)
    assert not plan.fits
    outcomes = {row.key: row.outcome for row in plan.rows}
    assert outcomes["0.weight"] is Outcome.UNASSIGNABLE
    computed_ones = Outcome.UNEXPECTED if scales else Outcome.COMPUTED
    for name in ("absmax", "quant_map", "quant_state.bnb__nf4"):
        assert outcomes[f"0.weight.{name}"] is computed_ones
    assert "0.weight.absmax, which FourBits does not take back" in str(plan)
    for strict in (True, False):
        with pytest.raises(LoadError, match="1 in a slot that cannot be changed"):
            load_state_dict(model, file, strict=strict, assign=assign)
        assert computed(model) == before


@pytest.mark.parametrize("assign", [False, True])
def test_scales_that_the_layer_takes_back_move_with_the_weight(assign: bool) -> None:
    model, saved = nn.Sequential(EightBits(1)), nn.Sequential(EightBits(2))
    file = get_state_dict(saved)
    assert list(file) == ["0.weight", "0.SCB", "0.weight_format"]
    weight = model[0].weight
    load_state_dict(model, file, strict=True, assign=assign)
    assert computed(model) == computed(saved)
    assert model[0].weight is weight
    without = {key: leaf for key, leaf in file.items() if "SCB" not in key}
    assert not plan_load(model, without).fits


def deep(module: nn.Module, state: Any, prefix: str, metadata: Any) -> None:
    state[f"{prefix}made.anew"] = torch.ones(2)


def deeper(module: nn.Module, state: Any, prefix: str, metadata: Any) -> None:
    state[f"{prefix}a.b.c.d"] = module.weight * 2 if hasattr(module, "weight") else torch.ones(2)


def in_a_child(module: nn.Module, state: Any, prefix: str, metadata: Any) -> None:
    for name, _ in module.named_children():
        state[f"{prefix}{name}.scale"] = torch.ones(2)
    state[f"{prefix}scale"] = torch.ones(2)


def below_a_parameter(module: nn.Module, state: Any, prefix: str, metadata: Any) -> None:
    for key in list(state):
        state[f"{key}.norm"] = state[key].detach().norm()


def above(module: nn.Module, state: Any, prefix: str, metadata: Any) -> None:
    state["made"] = torch.ones(2)


HOOKS = [deep, deeper, in_a_child, below_a_parameter, above]


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("at", ["", "first", "inner", "inner.0"])
@pytest.mark.parametrize("public", [True, False])
def test_what_a_hook_adds_is_never_counted_as_loaded(
    hook: Callable[..., None], at: str, public: bool
) -> None:
    def make() -> nn.Module:
        inner = nn.Sequential(nn.Linear(2, 2))
        model = nn.ModuleDict({"first": nn.Linear(2, 2), "inner": inner})
        target = model.get_submodule(at)
        # The public registration marks the function, so each gets one of its own.
        mine = lambda *given: hook(*given)  # noqa: E731
        register = target.register_state_dict_post_hook if public else None
        (register or target._register_state_dict_hook)(mine)
        return model

    model, plain = make(), {name for name, _ in make().named_parameters()}
    file = {key: torch.full_like(leaf, 3.0) for key, leaf in make().state_dict().items()}
    added = file.keys() - plain
    assert added
    plan = plan_load(model, file)
    assert not plan.fits
    loaded = {row.key for row in plan.rows if row.outcome is Outcome.LOADED}
    assert loaded == plain
    assert {row.key for row in plan.of(Outcome.UNEXPECTED)} == added
    with pytest.raises(LoadError, match="does not take it back"):
        load_state_dict(model, file, strict=True)
    assert plan_load(model, {key: file[key] for key in plain}).fits


def test_what_a_hook_says_under_another_name_is_loaded_as_tied() -> None:
    def make() -> nn.Module:
        model = nn.Linear(2, 2)
        model._register_state_dict_hook(
            lambda module, state, prefix, metadata: state.update({"w.again": module.weight})
        )
        return model

    model, saved = make(), make()
    load_state_dict(model, saved.state_dict(), strict=True)
    assert torch.equal(model.weight, saved.weight)


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("bits", ["Linear4bit", "Linear8bitLt"])
def test_the_layers_of_bitsandbytes(bits: str, assign: bool) -> None:
    bnb = pytest.importorskip("bitsandbytes")

    def make(seed: int) -> Any:
        torch.manual_seed(seed)
        layer = getattr(bnb.nn, bits)
        layer = layer(64, 32) if bits == "Linear4bit" else layer(64, 32, has_fp16_weights=False)
        return nn.Sequential(layer).to("cpu")

    model, saved, x = make(1), make(2), torch.ones(2, 64)
    file = get_state_dict(saved)
    if bits == "Linear4bit":
        for options in ({"strict": True}, {"assign": True}, {}):
            with pytest.raises(LoadError, match="Linear4bit does not take back"):
                load_state_dict(model, file, **options)
        assert torch.equal(model(x), make(1)(x))
        return
    load_state_dict(model, file, strict=True, assign=assign)
    assert torch.equal(model(x), saved(x))
    with pytest.raises(LoadError, match="nothing was changed"):  # nor does torch, once it was used
        load_state_dict(model, file)
    assert torch.equal(model(x), saved(x))
