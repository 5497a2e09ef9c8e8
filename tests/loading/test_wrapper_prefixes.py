"""Wrappers are undone by class in an object, and in a file only where that is unambiguous."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.optim.swa_utils import AveragedModel

from caten_sd.errors import LoadError
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.report import Outcome
from caten_sd.loading.wrapper_prefixes import WRAPPERS, unwrapped
from caten_sd.objects.extract import get_state_dict


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)
        self.norm = nn.BatchNorm1d(2)


class WithModule(nn.Module):
    """A model with a real child called as a wrapper's is."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Linear(3, 2)


def inside_out(model: nn.Module) -> nn.Module:
    model.fc = checkpoint_wrapper(model.fc)
    return nn.DataParallel(torch.compile(model, backend="eager"))


WRAP = {
    "DataParallel": nn.DataParallel,
    "compile": lambda model: torch.compile(model, backend="eager"),
    "checkpoint": checkpoint_wrapper,
    "nested": inside_out,
    "compiled inside": lambda model: nn.Sequential(torch.compile(model, backend="eager"))[0],
}


@pytest.mark.parametrize("wrap", WRAP.values(), ids=WRAP)
def test_a_wrapped_model_has_the_keys_and_leaves_of_the_model(wrap: object) -> None:
    model = Net()
    expected = dict(get_state_dict(model))
    found = get_state_dict(wrap(model))
    assert list(found) == list(expected)
    assert all(found[key] is leaf for key, leaf in expected.items())


@pytest.mark.parametrize("adopt", [False, True])
@pytest.mark.parametrize("there", WRAP.values(), ids=WRAP)
@pytest.mark.parametrize("here", [lambda model: model, *WRAP.values()], ids=["bare", *WRAP])
def test_any_wrapping_loads_the_state_dict_of_any_other(
    here: object, there: object, adopt: bool
) -> None:
    # Failure case 1, and what torch itself says with its wrappers' segments in the keys.
    saved, inner = Net(), Net()
    file = there(saved).state_dict()
    load_state_dict(here(inner), file, strict=True, assign=adopt)
    for (key, mine), (_, other) in zip(
        get_state_dict(inner).items(), get_state_dict(saved).items(), strict=True
    ):
        assert torch.equal(mine, other), key


def test_the_report_says_what_was_stripped_from_how_many_keys() -> None:
    # Failure case 1.
    file = {
        "module._orig_mod.fc.weight": torch.ones(2, 3),
        "module._orig_mod.fc.bias": torch.ones(2),
    }
    plan = plan_load(nn.ModuleDict({"fc": nn.Linear(3, 2)}), file)
    assert plan.notes == ['stripped "module._orig_mod." from 2 keys']
    assert plan.fits
    assert [row.source for row in plan.rows] == list(file)
    assert 'stripped "module._orig_mod." from 2 keys' in str(plan.apply())


def test_a_real_child_called_module_stays() -> None:
    # Failure case 2; torch's own helper for prefixes eats the child.
    model = WithModule()
    file = {"module.weight": torch.ones(2, 3), "module.bias": torch.zeros(2)}
    plan = plan_load(model, file)
    assert plan.fits
    assert not plan.notes
    twice = {f"module.{key}": leaf for key, leaf in file.items()}
    load_state_dict(model, twice, strict=True)
    assert torch.equal(model.module.weight, torch.ones(2, 3))


def test_segments_are_stripped_in_the_middle_of_a_key() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 2)))
    file = {
        f"0._checkpoint_wrapped_module.0._fsdp_wrapped_module.{name}": leaf
        for name, leaf in nn.Linear(3, 2).state_dict().items()
    }
    plan = plan_load(model, file)
    assert plan.fits
    text = '"_checkpoint_wrapped_module._fsdp_wrapped_module."'
    assert plan.notes == [f"stripped {text} from 2 keys"]


def test_two_keys_that_strip_to_one_are_an_error_that_names_both() -> None:
    model = nn.ModuleDict({"fc": nn.Linear(1, 1)})
    file = {"fc.weight": torch.ones(1, 1), "module.fc.weight": torch.zeros(1, 1)}
    for keys in (file, dict(reversed(file.items()))):
        with pytest.raises(LoadError, match=r"fc\.weight and .*fc\.weight of the file are both"):
            load_state_dict(model, keys)
    two = {"module.fc.bias": torch.ones(1), "_orig_mod.fc.bias": torch.ones(1)}
    with pytest.raises(LoadError, match=r"module\.fc\.bias and _orig_mod\.fc\.bias"):
        load_state_dict(model, two)


def test_a_key_that_could_be_either_of_two_slots_is_an_error() -> None:
    model = nn.Module()
    model.weight, model.module = nn.Parameter(torch.zeros(1)), nn.Linear(1, 1, bias=False)
    file = {"_orig_mod.module.weight": torch.ones(1, 1)}
    with pytest.raises(LoadError, match=r"could be module\.weight or weight"):
        plan_load(model, file)


def test_nothing_is_stripped_if_no_slot_is_named_afterwards() -> None:
    model = nn.ModuleDict({"fc": nn.Linear(1, 1)})
    file = {"module.stray": torch.ones(1), "fc.weight": torch.ones(1, 1)}
    plan = plan_load(model, file)
    assert {row.key for row in plan.of(Outcome.UNEXPECTED)} == {"module.stray"}
    assert not plan.notes


class TestAveragedModel:
    def test_its_count_is_state_and_may_be_missing(self) -> None:
        averaged = AveragedModel(Net())
        averaged.update_parameters(Net())
        assert set(get_state_dict(averaged)) == {"n_averaged", *get_state_dict(Net())}
        plan = plan_load(averaged, Net().state_dict())
        assert plan.fits
        assert [row.key for row in plan.of(Outcome.COMPUTED)] == ["n_averaged"]
        load_state_dict(averaged, Net().state_dict(), strict=True)
        assert averaged.n_averaged.item() == 1

    def test_its_file_loads_into_the_bare_model(self) -> None:
        averaged, model = AveragedModel(Net()), Net()
        load_state_dict(model, averaged.state_dict(), strict=True)
        assert torch.equal(model.fc.weight, averaged.module.fc.weight)

    @pytest.mark.parametrize("adopt", [False, True])
    def test_its_file_loads_into_itself_with_the_count(self, adopt: bool) -> None:
        averaged, other = AveragedModel(Net()), AveragedModel(Net())
        averaged.update_parameters(Net())
        load_state_dict(other, averaged.state_dict(), strict=True, assign=adopt)
        assert other.n_averaged.item() == 1
        other.update_parameters(Net())
        assert other.n_averaged.item() == 2


names = st.sampled_from(["a", "b", "weight", *sorted(WRAPPERS)])


@given(st.lists(names, min_size=1, max_size=4), st.lists(st.sampled_from(sorted(WRAPPERS))))
def test_wrappers_at_any_depth_come_off_again(path: list[str], around: list[str]) -> None:
    inner = [part for part in path if part not in WRAPPERS] or ["a"]
    key = list(inner)
    for place, wrapper in enumerate(around):
        key.insert(place % len(key), wrapper)
    found = unwrapped(".".join(key), {".".join(inner): "slot"}.get)
    assert found == (("slot", "".join(f"{p}." for p in key if p in WRAPPERS)) if around else None)


def test_a_model_that_is_trained_in_parallel_by_a_process_of_its_own() -> None:
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        model, saved = Net(), Net()
        wrapped = nn.parallel.DistributedDataParallel(model)
        assert list(get_state_dict(wrapped)) == list(get_state_dict(model))
        file = nn.parallel.DistributedDataParallel(saved).state_dict()
        assert next(iter(file)).startswith("module.")
        load_state_dict(wrapped, file, strict=True)
        assert torch.equal(model.fc.weight, saved.fc.weight)
    finally:
        torch.distributed.destroy_process_group()
