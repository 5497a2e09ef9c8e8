"""State that is not stored leaf by leaf: synthesized state, quantized subclasses."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from caten_sd.errors import LoadError
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.objects.extract import get_state_dict


class Halved(nn.Module):
    """A module whose state dict has computed copies, which it takes back by its own method."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def _save_to_state_dict(self, state: dict, prefix: str, keep: bool) -> None:
        state[f"{prefix}half"] = self.weight.detach() / 2
        state[f"{prefix}count"] = torch.tensor(2)

    def _load_from_state_dict(self, state: dict, prefix: str, *rest: object) -> None:
        if int(state[f"{prefix}count"]) != 2:
            rest[-1].append("it was not a half")
            return
        with torch.no_grad():
            self.weight.copy_(state.pop(f"{prefix}half") * 2)


class TestSynthesizedState:
    """Leaves that a module computes when asked go back through the module itself."""

    @pytest.mark.parametrize("assign", [False, True])
    def test_it_goes_back_by_the_modules_own_method(self, assign: bool) -> None:
        model, saved = (
            nn.Sequential(Halved(), nn.Linear(1, 1)),
            nn.Sequential(filled_half(Halved()), nn.Linear(1, 1)),
        )
        plan = plan_load(model, saved.state_dict(), assign=assign)
        assert plan.fits
        assert plan.verdict.startswith("4 of 4 slots")
        assert model[0].weight.tolist() == [1, 1]
        plan.apply()
        assert model[0].weight.tolist() == [3, 5]

    def test_a_refusal_leaves_everything_as_it_was(self) -> None:
        model = nn.Sequential(Halved(), nn.Linear(1, 1))
        file = {**nn.Sequential(Halved(), nn.Linear(1, 1)).state_dict(), "0.count": torch.tensor(3)}
        before = model[1].weight.item()
        with pytest.raises(LoadError, match=r"it was not a half\); nothing was changed"):
            load_state_dict(model, file)
        assert model[1].weight.item() == before

    def test_one_without_the_other_is_an_error(self) -> None:
        model = nn.Sequential(Halved(), nn.Linear(1, 1))
        file = nn.Sequential(Halved(), nn.Linear(1, 1)).state_dict()
        del file["0.count"]
        with pytest.raises(LoadError, match="nothing was changed"):
            load_state_dict(model, file, silent=True)

    def test_quantized_layers_of_torch(self) -> None:
        code = """if True:
            import torch
            from torch import nn
            from caten_sd.loading.load import load_state_dict
            make = lambda: torch.ao.quantization.quantize_dynamic(
                nn.Sequential(nn.Linear(3, 2)), {nn.Linear}, dtype=torch.qint8)
            saved, model, inputs = make(), make(), torch.ones(1, 3)
            assert not torch.equal(model(inputs), saved(inputs))
            load_state_dict(model, saved.state_dict(), strict=True)
            assert torch.equal(model(inputs), saved(inputs))
        """
        # torch warns of the deprecation once per process, and another test waits for that warning.
        subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def filled_half(module: Halved) -> Halved:
    with torch.no_grad():
        module.weight.copy_(torch.tensor([3.0, 5.0]))
    return module


class Scaled(torch.Tensor):
    """A quantized subclass, which holds rounded values and their scale."""

    @staticmethod
    def __new__(cls, rounded: torch.Tensor, scale: torch.Tensor) -> Scaled:
        return torch.Tensor._make_wrapper_subclass(cls, rounded.shape, dtype=torch.float32)

    def __init__(self, rounded: torch.Tensor, scale: torch.Tensor) -> None:
        self.rounded, self.scale = rounded, scale

    @classmethod
    def of(cls, values: torch.Tensor) -> Scaled:
        scale = values.abs().max() / 127
        return cls((values / scale).round().to(torch.int8), scale)

    def dequantize(self) -> torch.Tensor:
        return self.rounded * self.scale

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):  # type: ignore
        aten = torch.ops.aten
        if function is aten.detach.default or function is aten.clone.default:
            return cls(args[0].rounded.clone(), args[0].scale.clone())
        if function is aten.copy_.default:
            place, source = args[:2]
            if not isinstance(source, Scaled):
                raise NotImplementedError("only a Scaled fits a Scaled")
            place.rounded.copy_(source.rounded)
            place.scale.copy_(source.scale)
            return place
        raise NotImplementedError(f"{function} of Scaled")


class TestQuantizedSubclasses:
    def model(self, number: float) -> nn.Module:
        model = nn.Module()
        values = torch.tensor([1.0, 2.0, 4.0]) * number
        model.weight = nn.Parameter(Scaled.of(values), requires_grad=False)
        model.bias = nn.Parameter(torch.zeros(3))
        return model

    @pytest.mark.parametrize("assign", [False, True])
    def test_they_are_loaded_with_their_scales(self, assign: bool) -> None:
        model, saved = self.model(1), self.model(3)
        assert list(get_state_dict(model)) == ["weight", "bias"]
        load_state_dict(model, saved.state_dict(), strict=True, assign=assign)
        assert isinstance(model.weight, Scaled)
        assert torch.equal(model.weight.rounded, saved.weight.rounded)
        assert model.weight.scale.item() == saved.weight.scale.item()

    def test_a_plain_tensor_that_it_does_not_take_changes_nothing(self) -> None:
        model = self.model(1)
        with pytest.raises(LoadError, match=r"only a Scaled fits a Scaled.*nothing was changed"):
            load_state_dict(model, {"bias": torch.ones(3), "weight": torch.ones(3)})
        assert not model.bias.any()
