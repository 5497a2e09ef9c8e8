"""Modules of MLX, whose own ``parameters()`` and ``load_weights`` are the oracle."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import caten_sd
from caten_sd import (
    diff,
    get_state_dict,
    load,
    load_state_dict,
    plan_load,
    read_state_dict,
    save,
    verify,
    with_state,
    write_state_dict,
)
from caten_sd.errors import LoadError, StateDictError
from caten_sd.loading.report import Outcome
from caten_sd.objects.owner import slots_of

mx = pytest.importorskip("mlx.core", reason="MLX is not installed: pip install 'caten-sd[mlx]'")
nn = pytest.importorskip("mlx.nn")
tree_flatten = pytest.importorskip("mlx.utils").tree_flatten


class Net(nn.Module):  # type: ignore[misc]
    def __init__(self, seed: int) -> None:
        super().__init__()
        mx.random.seed(seed)
        self.layers = [nn.Linear(2, 3), nn.BatchNorm(3), None, "relu"]
        self.table = {"conv": nn.Conv2d(1, 2, 3), "_x": mx.random.normal((1,))}
        self.packed = nn.QuantizedLinear(64, 8, group_size=32, bits=8)
        self.half = mx.random.normal((2, 2)).astype(mx.bfloat16)
        self.pair = (nn.Linear(1, 1),)  # MLX does not count it, nor the next two
        self._cache = mx.zeros(2)
        self.constant = np.zeros(3)

    def __call__(self, x: Any) -> Any:
        return self.layers[1](self.layers[0](x)) + self.packed(mx.ones((1, 64)))[:, :3]


class Shared(Net):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.again = self.layers[0]


class Odd(Net):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.odd = {"a.b": mx.array(seed), 3: mx.ones(1) * seed, "c\n'": [[mx.zeros(seed)]]}


def flat(model: Any) -> dict[str, Any]:
    return dict(tree_flatten(model.parameters()))


def are_equal(one: Any, other: Any) -> bool:
    ours, theirs = flat(one), flat(other)
    return ours.keys() == theirs.keys() and all(
        a.dtype == theirs[key].dtype and mx.array_equal(a, theirs[key]).item()
        for key, a in ours.items()
    )


@pytest.mark.parametrize("make", [Net, Shared, Odd, lambda seed: nn.Linear(2, 3)])
def test_the_state_is_what_mlx_counts_as_parameters(make: Any) -> None:
    model = make(0)
    state = get_state_dict(model)
    assert list(state) == list(flat(model))
    assert all(state[key] is leaf for key, leaf in flat(model).items())


def test_kinds_and_what_is_no_state() -> None:
    model = Net(0)
    kinds = {name: kind for name, _, kind in slots_of(model) or ()}
    assert [name for name, kind in kinds.items() if kind == "cache"] == ["pair", "_cache"]
    statistics = {name: kind for name, _, kind in slots_of(model.layers[1]) or ()}
    assert [name for name, kind in statistics.items() if kind == "buffer"] == [
        "running_mean",
        "running_var",
    ]
    model.freeze()  # which makes no statistics of weights
    assert {kind for _, _, kind in slots_of(model.layers[0]) or ()} == {"state"}


@pytest.mark.parametrize("make", [Net, Shared])
@pytest.mark.parametrize("options", [{}, {"assign": True}, {"dtype": "keep"}])
def test_a_load_gives_the_same_model(make: Any, options: dict[str, Any]) -> None:
    old, new = make(1), make(2)
    before = new.layers[0].weight
    assert load_state_dict(new, get_state_dict(old), strict=True, **options) is new
    assert are_equal(old, new)
    assert mx.array_equal(old(mx.ones((2, 2))), new(mx.ones((2, 2))))
    assert (new.layers[0].weight is before) == ("assign" not in options)
    if make is Shared:
        assert new.again.weight is new.layers[0].weight
    assert "_cache" in new
    assert sorted(new.trainable_parameters()) == sorted(old.trainable_parameters())


def test_with_state_leaves_the_old_model_as_it_was() -> None:
    old, other = Shared(1), Shared(2)
    as_it_was = copy.deepcopy(old)
    new = with_state(old, get_state_dict(other))
    assert type(new) is Shared
    assert are_equal(new, other)
    assert are_equal(old, as_it_was)
    assert new.again is new.layers[0]


WRONG = {
    "a shape that update accepts": ({"layers.0.weight": mx.zeros((7, 7))}, "another shape"),
    "a shape that broadcasts": ({"layers.0.weight": mx.zeros((1, 2))}, "another shape"),
    "an unknown name": ({"layers.0.wight": mx.zeros((3, 2))}, "layers.0.wight"),
    "floats into packed integers": ({"packed.weight": mx.zeros((8, 16))}, "packed"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_mlx_itself_takes_wrongly_is_refused_and_changes_nothing(case: str) -> None:
    wrong, said = WRONG[case]
    model, as_it_was = Net(1), Net(1)
    file = {**get_state_dict(Net(2)), **wrong}
    assert not plan_load(model, file).fits
    with pytest.raises(LoadError, match=said):
        load_state_dict(model, file, strict=True)
    assert are_equal(model, as_it_was)


@pytest.mark.parametrize("lost", ["weight", "scales", "biases"])
def test_a_quantized_weight_is_loaded_as_a_whole_or_not_at_all(lost: str) -> None:
    model, file = Net(1), get_state_dict(Net(2))
    rows = {
        row.key: row.outcome
        for row in plan_load(model, {k: v for k, v in file.items() if k != f"packed.{lost}"}).rows
    }
    kept = {f"packed.{name}" for name in ("weight", "scales", "biases") if name != lost}
    assert rows[f"packed.{lost}"] is Outcome.MISSING
    assert {key for key, outcome in rows.items() if outcome is Outcome.UNASSIGNABLE} == kept
    with pytest.raises(LoadError, match="nothing was changed"):
        load_state_dict(model, {k: v for k, v in file.items() if k != f"packed.{lost}"})
    assert are_equal(model, Net(1))


class Holder(nn.Module):  # type: ignore[misc]
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.table = {"of": [value]}


@pytest.mark.parametrize(
    "foreign",
    [np.zeros(2), torch.zeros(2), (mx.zeros(2),), {"deeper": (nn.Linear(1, 1),)}],
)
def test_an_array_that_mlx_passes_over_is_refused_with_its_place(foreign: Any) -> None:
    assert flat(Holder(foreign)) == {}
    with pytest.raises(StateDictError, match=r"table\.of\.0.*does not count"):
        get_state_dict(Holder(foreign))
    assert list(get_state_dict(Holder(("a", 1)))) == []


@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
def test_files_of_either_side_are_read_by_the_other(tmp_path: Path, suffix: str) -> None:
    old, ours, theirs = Net(1), tmp_path / f"ours.{suffix}", tmp_path / f"theirs.{suffix}"
    old.save_weights(str(theirs))
    assert are_equal(load(Net(2), theirs, strict=True), old)
    with read_state_dict(theirs) as state:
        assert set(state) == set(flat(old))
    save(old, ours)
    new = Net(2)
    found = mx.load(str(ours))
    found.pop("__caten_sd__", None)  # says in an .npz what has the dtype that numpy lacks
    new.load_weights(list(found.items()))
    assert are_equal(new, old)


def test_a_module_is_not_taken_for_the_mapping_that_it_is_too(tmp_path: Path) -> None:
    one, other = Net(1), Net(2)
    assert diff(one, Net(1)).is_same
    assert not diff(one, other).is_same
    for verb in (
        lambda: write_state_dict(one, tmp_path / "a.safetensors"),
        lambda: load_state_dict(one, other),
        lambda: caten_sd.digest(one),
    ):
        with pytest.raises(StateDictError, match="get_state_dict"):
            verb()


def test_verify_names_the_layer_where_two_modules_part() -> None:
    one, other = Net(1), Net(1)
    found = verify(one, other, inputs=[mx.ones((2, 2))])
    assert found.parting is None
    other.layers[1].weight = other.layers[1].weight * 2
    found = verify(one, other, inputs=[mx.ones((2, 2))])
    assert found.parting is not None
    assert found.compared[found.parting].a == "layers.1"
    assert type(one) is Net
    assert one.training
    assert one.layers[1].training


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_verify_makes_inputs_of_the_kind_and_the_dtype_of_the_model(dtype: str) -> None:
    one = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    one.set_dtype(getattr(mx, dtype))
    other = copy.deepcopy(one)
    assert verify(one, other).parting is None
    other.layers[1].bias = other.layers[1].bias + 1
    found = verify(one, other)
    assert found.parting is not None
    assert found.compared[found.parting].a == "layers.1"


def test_a_dataclass_that_is_a_module_has_the_state_of_a_module() -> None:
    @dataclasses.dataclass(eq=False)
    class Declared(nn.Module):  # type: ignore[misc]
        size: int
        extra: Any = None

        def __post_init__(self) -> None:
            super().__init__()
            self.weight = mx.zeros((self.size,))

    model = Declared(3)
    assert list(get_state_dict(model)) == ["weight"]
    load_state_dict(model, {"weight": np.ones(3, "f4")})
    assert model.weight.tolist() == [1, 1, 1]
    assert with_state(model, {"weight": np.zeros(3, "f4")}).size == 3
