"""What torch's own load_state_dict accepts strictly we accept, with the same result."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.report import FAULTS, FITS, Outcome
from caten_sd.objects.extract import get_state_dict
from tests.properties import examples, sampled

from .loading import MODELS, Shared, alike, both, filled
from .test_architectures import USUAL, _quiet
from .test_architectures import build as architecture
from .test_layers import LAYERS, build

__all__ = ["_quiet"]  # a fixture that this file uses too

# torch unties what it adopts, which we do not do: see TestTies.
CASES = [(name, assign) for name in MODELS for assign in (False, True) if name != "shared"]


@pytest.mark.parametrize(("name", "assign"), [*CASES, ("shared", False)])
def test_a_models_own_state_dict(name: str, assign: bool) -> None:
    make = MODELS[name]
    file = filled(make(), 5).state_dict()
    *_, refusal = both(make, file, assign)
    assert refusal is None
    *_, refusal = both(make, get_state_dict(filled(make(), 5)).entry, assign)
    assert refusal is None


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_an_extra_or_missing_key_or_another_shape_is_refused(make: Callable[[], nn.Module]) -> None:
    file = filled(make(), 5).state_dict()
    *_, refusal = both(make, {**file, "stray": torch.zeros(2)}, False)
    assert refusal
    for key in file:
        if make is not Shared:
            both(make, {k: v for k, v in file.items() if k != key}, False)
        if isinstance(file[key], torch.Tensor):
            both(make, {**file, key: torch.zeros(3, 9)}, False)
            *_, refusal = both(make, {**file, f"{key}.bad_key": torch.zeros(1)}, False)
            assert refusal


actions = st.sampled_from(["keep", "drop", "shape", "rename", "none"])


@settings(max_examples=examples(60))
@given(st.sampled_from(sorted(MODELS)), st.lists(actions, max_size=12), st.booleans())
def test_torch_and_we_agree_on_every_fault(name: str, deeds: list[str], assign: bool) -> None:
    file: dict[str, object] = {}
    leaves = filled(MODELS[name](), 3).state_dict().items()
    for (key, leaf), deed in zip(leaves, deeds + ["keep"] * len(leaves), strict=False):
        if deed == "shape" and isinstance(leaf, torch.Tensor):
            leaf = torch.zeros(7, 7, dtype=leaf.dtype)
        if deed != "drop":
            file[key + "x" * (deed == "rename")] = None if deed == "none" else leaf
    if name not in ("extra", "shared"):
        both(MODELS[name], file, assign)


class TestTies:
    """torch loses ties, or needs each tied name; we keep ties and need only one name."""

    def test_ties_are_kept_by_assign(self) -> None:
        model = Shared()
        load_state_dict(model, filled(Shared(), 5).state_dict(), strict=True, assign=True)
        assert model.a.weight is model.b.weight is model.head.weight

    @pytest.mark.parametrize("name", ["a.weight", "b.weight", "head.weight"])
    def test_one_name_is_enough(self, name: str) -> None:
        # Failure case 18.
        model, saved = Shared(), filled(Shared(), 5).state_dict()
        load_state_dict(model, {name: saved[name], "a.bias": saved["a.bias"]}, strict=True)
        alike(model, filled(Shared(), 5))


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize(
    "name", sampled((name for name in LAYERS if not name.startswith("Lazy")), 4)
)
def test_every_layer_of_torch(name: str, assign: bool) -> None:
    """Load each layer's own state dict, and the same without one of its keys."""
    torch.manual_seed(0)
    file = build(name).state_dict()
    *_, refusal = both(lambda: build(name), file, assign)
    assert refusal is None
    for key in list(file)[:2]:
        both(lambda: build(name), {k: leaf for k, leaf in file.items() if k != key}, assign)


def plans_as_torch_would(name: str) -> None:
    model = architecture(name)
    file = {
        key: torch.zeros((), dtype=leaf.dtype).expand(leaf.shape)
        for key, leaf in model.state_dict().items()
    }
    plan = plan_load(model, file)
    made = {key for key, _ in model.named_buffers()} - file.keys()
    assert {row.key for row in plan.of(*FAULTS)} <= made  # on the meta device, without values
    assert all(row.outcome in FITS or row.key in made for row in plan.rows)
    assert [row.key for row in plan.rows if row.key in file] == list(file)
    ties = get_state_dict(model).ties
    key = next(key for key in file if key not in {*ties, *ties.values()})
    fewer = {name: leaf for name, leaf in file.items() if name != key}
    assert key in {row.key for row in plan_load(model, fewer).of(Outcome.MISSING)}


@pytest.mark.parametrize("name", USUAL[::12])
def test_a_plan_for_an_architecture_of_transformers(name: str) -> None:
    plans_as_torch_would(name)


@pytest.mark.slow
def test_a_plan_for_every_usual_architecture_of_transformers() -> None:
    for name in USUAL:
        plans_as_torch_would(name)
