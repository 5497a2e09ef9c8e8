"""Files of older versions are rewritten by the modules' own hooks, before anything is loaded."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from caten_sd.errors import LoadError
from caten_sd.loading.load import load_state_dict, plan_load

from .loading import alike, both, filled


class TestVersions:
    """The hooks run on a copy of the names, and an overridden load on a twin without data."""

    def test_batch_norm_before_it_counted_batches(self) -> None:
        file = nn.BatchNorm1d(3).state_dict()
        plain = {key: leaf for key, leaf in file.items() if key != "num_batches_tracked"}
        model = nn.Sequential(nn.BatchNorm1d(3))
        model[0].num_batches_tracked += 4
        plan = plan_load(model, {f"0.{key}": leaf for key, leaf in plain.items()})
        assert plan.fits
        assert "older version" in str(plan)
        plan.apply()
        assert model[0].num_batches_tracked.item() == 4
        both(lambda: nn.BatchNorm1d(3), plain, False)

    def test_a_file_with_its_version_must_have_the_count(self) -> None:
        file = nn.BatchNorm1d(3).state_dict()  # it carries _metadata
        del file["num_batches_tracked"]
        *_, refusal = both(lambda: nn.BatchNorm1d(3), file, False)
        assert refusal

    def test_a_wrapped_file_is_rewritten_as_well(self) -> None:
        file = {
            f"module.{key}": leaf
            for key, leaf in nn.BatchNorm1d(3).state_dict().items()
            if key != "num_batches_tracked"
        }
        load_state_dict(nn.BatchNorm1d(3), file, strict=True)

    def test_a_hook_that_renames_is_run_on_a_copy_of_the_names(self) -> None:
        class Renaming(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.new = nn.Linear(2, 2)
                self._register_load_state_dict_pre_hook(self._rename)

            def _rename(self, state_dict: dict, prefix: str, *rest: object) -> None:
                for key in list(state_dict):
                    if key.startswith(prefix + "old."):
                        renamed = key.replace("old.", "new.")
                        state_dict[renamed] = state_dict.pop(key) * 2

        file = {f"0.old.{key}": leaf for key, leaf in nn.Linear(2, 2).state_dict().items()}
        kept = dict(file)
        both(lambda: nn.Sequential(Renaming()), file, False)
        assert file.keys() == kept.keys()

    def test_an_overridden_load_rewrites_names_and_loads_nothing_while_planning(self) -> None:
        class Versioned(nn.Linear):
            _version = 2

            def _load_from_state_dict(self, state_dict, prefix, meta, *rest):  # type: ignore
                if meta.get("version", 1) < 2 and f"{prefix}kernel" in state_dict:
                    state_dict[f"{prefix}weight"] = state_dict.pop(f"{prefix}kernel").T
                super()._load_from_state_dict(state_dict, prefix, meta, *rest)

        file = {"kernel": torch.arange(6.0).reshape(3, 2), "bias": torch.ones(2)}
        ours, *_ = both(lambda: Versioned(3, 2), file, False)
        assert torch.equal(ours.weight, file["kernel"].T)
        model = filled(Versioned(3, 2), 9)
        before = copy.deepcopy(model)
        assert plan_load(model, file).fits
        alike(model, before)


class TestPostHooks:
    def hooked(self, calls: list[object]) -> nn.Module:
        model = nn.Sequential(nn.Linear(2, 2))
        model[0].register_load_state_dict_post_hook(lambda module, keys: calls.append(keys))
        return model

    def test_they_run_once_everything_is_loaded(self) -> None:
        calls: list[object] = []
        model, file = self.hooked(calls), {"0.weight": torch.ones(2, 2), "x": torch.ones(1)}
        plan = plan_load(model, file)
        assert not calls
        plan.apply()
        (keys,) = calls
        assert keys.missing_keys == ["0.bias"]
        assert keys.unexpected_keys == ["x"]

    def test_the_error_of_one_that_fails_states_that_everything_was_loaded(self) -> None:
        model = nn.Linear(2, 2)
        model.register_load_state_dict_post_hook(lambda module, keys: 1 / 0)
        with pytest.raises(LoadError, match=r"Linear .*after everything was loaded"):
            load_state_dict(model, {"weight": torch.ones(2, 2), "bias": torch.ones(2)})
        assert (model.weight == 1).all()
