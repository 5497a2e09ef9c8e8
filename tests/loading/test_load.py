"""The laws of a load: planned, then applied whole or not at all; every key is in the report."""

from __future__ import annotations

import copy
import warnings

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from caten_sd.errors import CatenError, LoadError, LoadWarning
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.report import Outcome
from caten_sd.objects.extract import get_state_dict
from caten_sd.state.keys import pytorch_style_dict_key


@attrs.define
class Layer:
    weight: object
    bias: object = None


@attrs.define
class Net:
    first: Layer
    last: Layer


def net() -> Net:
    return Net(
        Layer(np.zeros((2, 3), np.float32), np.zeros(2, np.float32)), Layer(torch.zeros(4, 2))
    )


def file_of_net() -> dict[str, object]:
    return {
        "first.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "first.bias": torch.ones(2),
        "last.weight": np.full((4, 2), 3, np.float32),
    }


def frozen(obj: object) -> dict[str, bytes]:
    """Return the bytes of every leaf, to see whether anything was changed."""
    return {
        key: bytes(memoryview(np.ascontiguousarray(np.asarray(leaf.detach())))
                   if isinstance(leaf, torch.Tensor) else leaf.tobytes())
        for key, leaf in get_state_dict(obj).items()
    }  # fmt: skip


def outcomes(ledger: object) -> dict[str, Outcome]:
    return {row.key: row.outcome for row in ledger.rows}


def test_loads_numpy_and_torch_into_each_other_and_returns_the_same_object() -> None:
    model, file = net(), file_of_net()
    assert load_state_dict(model, file, strict=True) is model
    assert np.array_equal(model.first.weight, file["first.weight"])
    assert np.array_equal(model.first.bias, [1, 1])
    assert torch.equal(model.last.weight, torch.full((4, 2), 3.0))


def test_a_plan_changes_nothing_and_apply_does_what_it_says() -> None:
    model = net()
    before = frozen(model)
    plan = plan_load(model, file_of_net())
    assert frozen(model) == before
    assert plan.fits
    assert outcomes(plan) == dict.fromkeys(file_of_net(), Outcome.LOADED)
    report = plan.apply()
    assert outcomes(report) == outcomes(plan)
    assert frozen(model) != before


def test_copying_does_not_alias_the_file() -> None:
    model, file = net(), file_of_net()
    load_state_dict(model, file)
    file["first.weight"][:] = 99
    assert model.first.weight.max() == 5


def test_a_model_loads_leaves_of_its_own_as_they_were() -> None:
    """torch writes the first, and then the second from what it has just written."""
    model = {"a": torch.zeros(2, 2), "b": torch.ones(2, 2), "c": torch.arange(4.0).reshape(2, 2)}
    load_state_dict(model, {"a": model["b"], "b": model["a"], "c": model["c"].T}, strict=True)
    assert (model["a"] == 1).all()
    assert (model["b"] == 0).all()
    assert model["c"].tolist() == [[0, 2], [1, 3]]
    arrays = {"a": np.zeros(2), "b": np.ones(2)}
    load_state_dict(arrays, {"a": arrays["b"], "b": arrays["a"]}, strict=True)
    assert arrays["a"].tolist() == [1, 1]
    assert arrays["b"].tolist() == [0, 0]
    load_state_dict(model, get_state_dict(model), strict=True)  # onto itself
    assert (model["a"] == 1).all()


def test_the_callers_mapping_is_not_changed() -> None:
    file = file_of_net()
    kept, ids = copy.deepcopy(file), {key: id(leaf) for key, leaf in file.items()}
    load_state_dict(net(), file, assign=True)
    assert {key: id(leaf) for key, leaf in file.items()} == ids
    assert all(np.array_equal(file[key], kept[key]) for key in kept)


def test_one_wrong_shape_under_strict_leaves_every_parameter_as_it_was() -> None:
    # Failure case 22; torch has overwritten three of the four when it raises.
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    file = {key: torch.randn_like(leaf) for key, leaf in model.state_dict().items()}
    file["1.bias"] = torch.zeros(7)
    before = frozen(model)
    with pytest.raises(LoadError, match="nothing was changed") as caught:
        load_state_dict(model, file, strict=True)
    assert frozen(model) == before
    assert outcomes(caught.value.plan)["1.bias"] is Outcome.SHAPE


def test_what_does_not_fit_is_warned_about_once_per_kind_with_the_report() -> None:
    file = {
        "first.weight": np.zeros((2, 3), np.float32),
        "first.bias": np.zeros(5, np.float32),
        "stray.a": np.zeros(1),
        "stray.b": np.zeros(1),
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_state_dict(net(), file)
    assert [w.category for w in caught] == [LoadWarning] * 3
    texts = [str(w.message) for w in caught]
    assert sum("in the file, not in the model" in text and "2 " in text for text in texts) == 1
    assert sum("in the model, not in the file" in text for text in texts) == 1
    assert sum("another shape" in text for text in texts) == 1
    assert len({id(w.message.report) for w in caught}) == 1
    assert outcomes(caught[0].message.report)["stray.a"] is Outcome.UNEXPECTED
    assert caught[0].filename == __file__


def test_silent_mutes_the_warnings_and_loads_what_fits() -> None:
    model = net()
    load_state_dict(
        model, {"first.bias": np.ones(2, np.float32), "stray": np.zeros(1)}, silent=True
    )
    assert model.first.bias.tolist() == [1, 1]


@pytest.mark.parametrize("mode", [{}, {"silent": True}, {"strict": True}, {"assign": True}])
def test_a_load_of_nothing_is_an_error_in_every_mode(mode: dict[str, bool]) -> None:
    model = net()
    before = frozen(model)
    with pytest.raises(LoadError, match=r"nothing was changed|of 3 slots"):
        load_state_dict(model, {"x" + key: leaf for key, leaf in file_of_net().items()}, **mode)
    with pytest.raises(LoadError):
        load_state_dict(model, {}, **mode)
    assert frozen(model) == before


def test_an_object_without_state_takes_an_empty_state_dict() -> None:
    activation = nn.ReLU()
    assert load_state_dict(activation, {}, strict=True) is activation
    with pytest.raises(LoadError):
        load_state_dict(activation, {"weight": torch.zeros(1)})


def test_key_mapper_maps_the_models_paths_to_the_files_keys() -> None:
    model = net()
    file = {f"model.{key}": leaf for key, leaf in file_of_net().items()}
    load_state_dict(
        model, file, strict=True, key_mapper=lambda path: "model." + pytorch_style_dict_key(path)
    )
    assert model.first.bias.tolist() == [1, 1]


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.wte.weight


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("names", [["wte.weight"], ["head.weight"], ["wte.weight", "head.weight"]])
def test_tied_slots_are_satisfied_by_one_name_and_stay_tied(names: list[str], assign: bool) -> None:
    model, value = Tied(), torch.randn(5, 3)
    report = plan_load(model, {name: value.clone() for name in names}, assign=assign).apply()
    assert model.head.weight is model.wte.weight
    assert isinstance(model.wte.weight, nn.Parameter)
    assert torch.equal(model.wte.weight, value)
    assert outcomes(report) == {"wte.weight": Outcome.LOADED, "head.weight": Outcome.TIED}


@pytest.mark.parametrize("mode", [{}, {"silent": True}, {"strict": True}])
def test_tied_slots_that_differ_in_the_file_are_an_error(mode: dict[str, bool]) -> None:
    model = Tied()
    before = frozen(model)
    file = {"wte.weight": torch.zeros(5, 3), "head.weight": torch.ones(5, 3)}
    with pytest.raises(LoadError, match="tied in the model, and different in the file"):
        load_state_dict(model, file, **mode)
    assert frozen(model) == before


def test_a_float_is_never_loaded_into_an_integer() -> None:
    # Failure case 17; torch makes it 2.
    model = {"count": torch.tensor(0), "w": torch.zeros(1)}
    file = {"count": torch.tensor(2.8699), "w": torch.ones(1)}
    with pytest.warns(LoadWarning, match="1 of a dtype that the slot cannot hold.*count"):
        load_state_dict(model, file)
    assert model["count"].item() == 0
    assert model["w"].item() == 1
    with pytest.raises(LoadError):
        load_state_dict(model, file, strict=True)


@pytest.mark.parametrize(
    ("slot", "leaf", "outcome"),
    [
        (torch.bfloat16, torch.float32, Outcome.CAST),
        (torch.float32, torch.bfloat16, Outcome.CAST),
        (torch.float32, torch.int64, Outcome.CAST),
        (torch.int64, torch.int32, Outcome.CAST),
        (torch.int64, torch.float32, Outcome.DTYPE),
        (torch.bool, torch.float32, Outcome.DTYPE),
        (torch.float32, torch.complex64, Outcome.DTYPE),
        (torch.complex64, torch.float32, Outcome.CAST),
    ],
)
def test_dtypes(slot: torch.dtype, leaf: torch.dtype, outcome: Outcome) -> None:
    plan = plan_load([torch.zeros(2, dtype=slot)], {"0": torch.ones(2, dtype=leaf)})
    assert outcomes(plan) == {"0": outcome}


def test_one_element_goes_into_a_slot_without_axes_and_two_do_not() -> None:
    # Failure case 21.
    model = nn.Module()
    model.scale = nn.Parameter(torch.tensor(0.0))
    report = plan_load(model, {"scale": torch.tensor([7.0])}).apply()
    assert model.scale.item() == 7
    assert "one element" in str(report)
    with pytest.raises(LoadError):
        load_state_dict(model, {"scale": torch.tensor([7.0, 8.0])})
    assert model.scale.item() == 7


@given(st.lists(st.sampled_from(["fit", "cast", "shape", "float", "absent", "stray"]), min_size=1))
def test_every_slot_and_every_key_is_in_the_plan_once(kinds: list[str]) -> None:
    slots, file = {}, {}
    for index, kind in enumerate(kinds):
        key = f"w{index}"
        if kind != "stray":
            slots[key] = np.zeros(2, np.int32 if kind == "float" else np.float32)
        if kind != "absent":
            shape, dtype = (3 if kind == "shape" else 2), ("f2" if kind == "cast" else "f4")
            file[key] = np.ones(shape, dtype)
    expected = {
        "fit": Outcome.LOADED, "cast": Outcome.CAST, "shape": Outcome.SHAPE,
        "float": Outcome.DTYPE, "absent": Outcome.MISSING, "stray": Outcome.UNEXPECTED,
    }  # fmt: skip
    plan = plan_load(slots, file)
    assert {row.key: row.outcome for row in plan.rows} == {
        f"w{index}": expected[kind] for index, kind in enumerate(kinds)
    }
    assert len(plan.rows) == len(kinds)
    before = frozen(slots)
    try:
        plan.apply()
    except CatenError:
        assert frozen(slots) == before
        assert not {"fit", "cast"} & set(kinds)
    changed = {key for key, data in frozen(slots).items() if data != before[key]}
    assert changed == {f"w{i}" for i, kind in enumerate(kinds) if kind in ("fit", "cast")}
