"""Two tutorials on modules of torch, as tests: buffers, and saving and loading."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from caten_sd import (
    LoadError,
    LoadWarning,
    get_state_dict,
    load_state_dict,
    plan_load,
    read_state_dict,
    write_state_dict,
)


class CausalAttention(nn.Module):
    """Attention whose mask is a buffer, saved or not, or only an attribute."""

    def __init__(self, mask: str) -> None:
        super().__init__()
        self.W_query = nn.Linear(3, 2, bias=False)
        self.W_key = nn.Linear(3, 2, bias=False)
        self.W_value = nn.Linear(3, 2, bias=False)
        values = torch.triu(torch.ones(6, 6), diagonal=1)
        if mask == "attribute":
            self.mask = values
        else:
            self.register_buffer("mask", values, persistent=mask == "persistent")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.W_query(x) @ self.W_key(x).transpose(1, 2)
        scores = scores.masked_fill(self.mask.bool(), -torch.inf)
        return torch.softmax(scores / 2**0.5, dim=-1) @ self.W_value(x)


WEIGHTS = ["W_query.weight", "W_key.weight", "W_value.weight"]


@pytest.mark.parametrize(
    ("mask", "keys"),
    [("persistent", ["mask", *WEIGHTS]), ("computed", WEIGHTS), ("attribute", WEIGHTS)],
)
def test_a_mask_is_state_if_it_is_a_persistent_buffer(mask: str, keys: list[str]) -> None:
    assert list(get_state_dict(CausalAttention(mask))) == keys


def test_a_mask_that_moved_with_its_model_is_taken_from_the_new_device() -> None:
    model = CausalAttention("persistent").to(torch.float64).to("meta")
    state = get_state_dict(model)
    assert state["mask"] is model.mask
    assert {(leaf.dtype, leaf.device.type) for leaf in state.values()} == {(torch.float64, "meta")}
    left_behind = CausalAttention("attribute").to("meta")
    assert left_behind.mask.device.type == "cpu"


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".npz"])
@pytest.mark.parametrize(("mask", "restored"), [("persistent", 2.0), ("attribute", 1.0)])
def test_a_changed_mask_is_saved_and_restored_if_it_is_state(
    mask: str, restored: float, suffix: str, tmp_path: Path
) -> None:
    model, fresh = CausalAttention(mask), CausalAttention(mask)
    model.mask[model.mask == 1.0] = 2.0
    write_state_dict(get_state_dict(model), tmp_path / f"model{suffix}")
    with read_state_dict(tmp_path / f"model{suffix}") as file:
        load_state_dict(fresh, file, strict=True)
    assert fresh.mask.max() == restored
    x = torch.randn(2, 6, 3)
    assert torch.equal(fresh(x), model(x))


class MyModel(nn.Module):
    def __init__(self, first: str = "fc1") -> None:
        super().__init__()
        self.add_module(first, nn.Linear(3, 2))
        self.fc2 = nn.Linear(2, 1)
        self.relu = nn.ReLU()


def test_the_keys_are_the_names_of_the_attributes() -> None:
    assert list(get_state_dict(nn.Linear(3, 2))) == ["weight", "bias"]
    assert list(get_state_dict(MyModel())) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    assert isinstance(MyModel().state_dict(), OrderedDict)


@pytest.mark.parametrize("weights_only", [True, False])
def test_what_torch_saves_is_read_and_what_is_written_torch_loads(
    weights_only: bool, tmp_path: Path
) -> None:
    model, ours, theirs = MyModel(), MyModel(), MyModel()
    torch.save(model.state_dict(), tmp_path / "torch.pth")
    load_state_dict(ours, read_state_dict(tmp_path / "torch.pth"), strict=True)
    write_state_dict(get_state_dict(ours), tmp_path / "ours.pth")
    loaded = torch.load(tmp_path / "ours.pth", weights_only=weights_only, map_location="cpu")
    assert theirs.load_state_dict(loaded).missing_keys == []
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), theirs.parameters(), strict=True)
    )


def test_the_error_for_a_state_dict_that_does_not_fit_names_both_keys() -> None:
    state: dict[str, Any] = {**MyModel().state_dict(), "fc1234.weight": torch.zeros(4)}
    del state["fc2.weight"]
    model = MyModel()
    before = [leaf.clone() for leaf in model.parameters()]
    with pytest.raises(LoadError) as caught:
        load_state_dict(model, state, strict=True)
    assert "fc2.weight" in str(caught.value)
    assert "fc1234.weight" in str(caught.value)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))
    with pytest.warns(LoadWarning):
        load_state_dict(model, state)
    assert torch.equal(model.fc1.weight, state["fc1.weight"])


def test_a_wrong_shape_is_refused_in_every_mode() -> None:
    model = MyModel()
    before = model.fc2.weight.clone()
    state = {**MyModel().state_dict(), "fc2.weight": torch.full((5,), 99.0)}
    with pytest.warns(LoadWarning, match=r"fc2\.weight"):
        load_state_dict(model, state)
    assert torch.equal(model.fc2.weight, before)


def test_a_renamed_child_is_missing_and_unexpected_with_a_fix() -> None:
    plan = plan_load(MyModel("fc_1"), MyModel().state_dict())
    assert not plan.fits
    assert 'rename={"fc1": "fc_1"}' in str(plan)


@pytest.mark.parametrize("place", ["cpu", "meta"])
def test_leaves_are_on_the_device_of_the_model(place: str, tmp_path: Path) -> None:
    model = MyModel().to(place)
    assert {leaf.device.type for leaf in get_state_dict(model).values()} == {place}
    torch.save(MyModel().state_dict(), tmp_path / "model.pth")
    load_state_dict(model, read_state_dict(tmp_path / "model.pth"))
    assert {leaf.device.type for leaf in get_state_dict(model).values()} == {"cpu"}


def test_a_compiled_and_an_uncompiled_model_read_each_others_files(tmp_path: Path) -> None:
    plain = MyModel()
    compiled = torch.compile(MyModel(), backend="eager")
    assert list(compiled.state_dict()) == [f"_orig_mod.{key}" for key in plain.state_dict()]
    assert list(get_state_dict(compiled)) == list(get_state_dict(plain))
    torch.save(compiled.state_dict(), tmp_path / "compiled.pth")
    load_state_dict(plain, read_state_dict(tmp_path / "compiled.pth"), strict=True)
    assert torch.equal(plain.fc1.weight, compiled.fc1.weight)
    write_state_dict(get_state_dict(plain), tmp_path / "plain.pth")
    load_state_dict(compiled, read_state_dict(tmp_path / "plain.pth"), strict=True)
