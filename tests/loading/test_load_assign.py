"""``assign=True`` adopts the leaves: no copy, their dtype, the slot's ties and training."""

from __future__ import annotations

import attrs
import pytest
import torch
from torch import nn

from caten_sd.errors import LoadError
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.objects.extract import get_state_dict

from .test_load import Layer


class TestAssign:
    def test_adopts_without_a_copy_and_keeps_requires_grad(self) -> None:
        model = nn.Linear(3, 2)
        model.bias.requires_grad_(False)
        file = {"weight": torch.zeros(2, 3), "bias": nn.Parameter(torch.zeros(2))}
        load_state_dict(model, file, assign=True)
        assert model.weight.data_ptr() == file["weight"].data_ptr()
        assert model.weight.requires_grad
        assert not model.bias.requires_grad
        assert file["bias"].requires_grad  # the caller's own flag
        assert [name for name, _ in model.named_parameters()] == ["weight", "bias"]

    def test_adopts_the_files_dtype(self) -> None:
        model = nn.Linear(3, 2)
        half = {key: leaf.half() for key, leaf in model.state_dict().items()}
        load_state_dict(model, half, assign=True)
        assert model.weight.dtype is torch.float16

    def test_adopts_into_lists_mappings_and_attrs_slots(self) -> None:
        value = torch.ones(2)
        for model in (Layer(torch.zeros(2)), {"weight": torch.zeros(2)}, [torch.zeros(2)]):
            key = "0" if isinstance(model, list) else "weight"
            load_state_dict(model, {key: value}, assign=True)
            assert get_state_dict(model)[key] is value

    def test_an_immutable_owner_is_refused_before_anything_is_changed(self) -> None:
        @attrs.frozen
        class Frozen:
            weight: object

        for part, key in ((Frozen(torch.zeros(2)), "b.weight"), ((torch.zeros(2),), "b.0")):
            model = {"a": torch.zeros(2), "b": part}
            kept = model["a"]
            file = {"a": torch.ones(2), key: torch.ones(2)}
            with pytest.raises(LoadError, match=r"takes no new object .*with_state"):
                load_state_dict(model, file, assign=True)
            assert model["a"] is kept
            assert kept.tolist() == [0, 0]
            load_state_dict(model, file, strict=True)  # a copy needs no new slot
            assert get_state_dict(model)[key].tolist() == [1, 1]

    def test_one_leaf_for_two_slots_that_are_not_tied_is_copied_for_the_second(self) -> None:
        model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
        leaf = torch.ones(2, 2)
        plan = plan_load(model, {"0.weight": leaf, "1.weight": leaf}, assign=True)
        assert "1.weight: a copy, as 0.weight has the file's own" in str(plan)
        plan.apply()
        assert model[0].weight.data_ptr() == leaf.data_ptr()
        with torch.no_grad():
            model[0].weight.zero_()
        assert (model[1].weight == 1).all()

    def test_slots_whose_dtype_changes_are_kept_apart_too(self) -> None:
        model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
        leaf = torch.ones(2, 2).half()
        plan = plan_load(model, {"0.weight": leaf, "1.weight": leaf}, assign=True)
        assert plan.rows[1].note == (
            "the slot becomes float16; a copy, as 0.weight has the file's own"
        )
        plan.apply()
        assert model[0].weight.data_ptr() == leaf.data_ptr()
        assert model[1].weight.data_ptr() != leaf.data_ptr()
