"""What the plan says fits, fits: afterwards the object holds what was loaded, bit for bit."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from torch import nn

from caten_sd.errors import LoadError
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.report import Outcome
from caten_sd.objects.extract import get_state_dict, to_state_dict
from caten_sd.state.copied_bytes import are_bytes_copied


class Taught:
    """A class that only its to_state_dict method knows; ``how`` makes its one leaf."""

    def __init__(self, how: Any) -> None:
        self.w, self.value, self.how = torch.arange(6.0).reshape(2, 3), 0.5, how


@to_state_dict.register(Taught)
def _taught_pairs(obj: Taught, parent: list[Any]) -> list[Any]:
    return [([*parent, "leaf"], obj.how(obj))]


def moved(leaf: Any) -> np.ndarray:
    """Return values of the leaf's shape and dtype that are not the leaf's."""
    return torch.as_tensor(leaf).numpy() + np.ones_like(torch.as_tensor(leaf).numpy())


OWN = {
    "the tensor": lambda obj: obj.w,
    "a slice": lambda obj: obj.w[1:],
    "a transpose": lambda obj: obj.w.T,
    "an array": lambda obj: obj.w.numpy(),
}
MADE = {
    "a number": lambda obj: torch.tensor(obj.value),
    "a contiguous transpose": lambda obj: obj.w.T.contiguous(),
    "a copy as an array": lambda obj: obj.w.numpy().copy(),
    "a cast": lambda obj: obj.w.double(),
}


@pytest.mark.parametrize("how", OWN.values(), ids=OWN)
def test_what_a_method_gives_of_its_own_is_loaded(how: Any) -> None:
    obj = Taught(how)
    given = {"leaf": moved(how(obj))}
    load_state_dict(obj, given, strict=True)
    assert np.array_equal(get_state_dict(obj)["leaf"], given["leaf"])


@pytest.mark.parametrize("mode", [{}, {"assign": True}, {"dtype": "float16"}])
@pytest.mark.parametrize("how", MADE.values(), ids=MADE)
def test_what_a_method_makes_anew_is_refused_by_the_plan(how: Any, mode: dict[str, Any]) -> None:
    obj = [Taught(how)]
    plan = plan_load(obj, {"0.leaf": moved(how(obj[0]))}, **mode)
    (row,) = plan.rows
    assert (row.key, row.outcome, plan.fits) == ("0.leaf", Outcome.UNASSIGNABLE, False)
    assert "return the object's own array" in str(plan)
    with pytest.raises(LoadError, match=r"0\.leaf"):
        plan.apply()


class Computing(nn.Module):
    """A module whose state dict has a value that it computes and does not take back."""

    def __init__(self, scale: float = 0.5) -> None:
        super().__init__()
        self.w, self.scale = nn.Parameter(torch.ones(2)), scale

    def _save_to_state_dict(self, out: dict, prefix: str, keep: bool) -> None:
        super()._save_to_state_dict(out, prefix, keep)
        out[f"{prefix}scale"] = torch.tensor(self.scale)


def hooked() -> nn.Module:
    module = nn.Linear(2, 2)
    module._register_state_dict_hook(
        lambda module, out, prefix, meta: out.update({f"{prefix}scale": torch.tensor(2.0)})
    )
    return module


@pytest.mark.parametrize("make", [Computing, hooked])
@pytest.mark.parametrize("nested", [False, True])
def test_what_a_module_computes_and_torch_ignores_is_not_loaded(make: Any, nested: bool) -> None:
    model = nn.Sequential(make()) if nested else make()
    given = {key: leaf + 1 for key, leaf in model.state_dict().items()}
    plan = plan_load(model, given)
    (row,) = plan.of(Outcome.UNEXPECTED)
    assert row.key == ("0.scale" if nested else "scale")
    assert "does not take it back" in row.note
    with pytest.raises(LoadError, match="scale"):
        load_state_dict(model, given, strict=True)
    with pytest.raises(RuntimeError, match="scale"):
        model.load_state_dict(given)
    del given[row.key]
    load_state_dict(model, given, strict=True)  # torch does not miss it either
    model.load_state_dict(given)


def test_a_value_that_a_load_hook_takes_back_is_loaded() -> None:
    model = Computing()

    def take(module: nn.Module, state: dict, prefix: str, *rest: Any) -> None:
        module.scale = float(state.pop(f"{prefix}scale"))

    model.register_load_state_dict_pre_hook(take)
    load_state_dict(model, Computing(2.0).state_dict(), strict=True)
    assert model.scale == 2.0


def test_a_hook_that_leaves_a_computed_value_over_refuses_the_load() -> None:
    model = Computing()
    model.register_load_state_dict_pre_hook(lambda *rest: None)
    with pytest.raises(LoadError, match=r"scale.*nothing was changed"):
        load_state_dict(model, Computing(2.0).state_dict())


@pytest.mark.parametrize("mode", [{}, {"assign": True}, {"dtype": "keep"}])
def test_a_tensor_without_values_is_refused_by_the_plan(mode: dict[str, Any]) -> None:
    model = nn.Linear(2, 1)
    plan = plan_load(model, nn.Linear(2, 1, device="meta").state_dict(), **mode)
    assert [row.key for row in plan.of(Outcome.UNASSIGNABLE)] == ["weight", "bias"]
    assert "load a tensor with values" in str(plan)


@pytest.mark.parametrize("place", [torch.zeros(2), np.zeros(2, np.float32)])
def test_a_sparse_tensor_for_a_dense_slot_is_refused_by_the_plan(place: Any) -> None:
    plan = plan_load({"w": place}, {"w": torch.ones(2).to_sparse()})
    (row,) = plan.rows
    assert (row.key, row.outcome) == ("w", Outcome.UNASSIGNABLE)
    assert "convert either of them first" in row.note


@pytest.mark.parametrize("assign", [False, True])
def test_a_read_only_array_in_a_slot_that_can_be_filled_is_replaced(assign: bool) -> None:
    array = np.zeros(2)
    array.flags.writeable = False
    obj = {"w": array}
    load_state_dict(obj, {"w": np.ones(2)}, strict=True, assign=assign)
    assert obj["w"].tolist() == [1, 1]
    assert not array.any()


@attrs.define
class Pair:
    one: Any
    two: Any


def test_an_interruption_anywhere_leaves_what_is_assigned_as_it_was_or_loads_all_of_it() -> None:
    def state(obj: Pair) -> list[Any]:
        return [obj.one.weight, obj.one.bias, obj.two]

    lines = 0
    for at in range(1, 100_000):
        obj = Pair(nn.Linear(2, 2), None)
        obj.two = obj.one.weight
        before, new = state(obj), {k: leaf.detach() + 1 for k, leaf in get_state_dict(obj).items()}
        new["two"] = new["one.weight"]
        plan, seen = plan_load(obj, new, assign=True), 0

        def interrupt(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal seen
            if "caten_sd" not in frame.f_code.co_filename:
                return None
            if event == "line":
                seen += 1
                if seen == at:  # noqa: B023, it is called in this round only
                    raise KeyboardInterrupt
            return interrupt

        traced = sys.gettrace()
        sys.settrace(interrupt)
        try:
            plan.apply()
            break
        except KeyboardInterrupt:
            lines += 1
        finally:
            sys.settrace(traced)
            gc.enable()  # the line that does so may be the one that was interrupted
        now = state(obj)
        old = all(one is other for one, other in zip(now, before, strict=True))
        loaded = all(torch.equal(one, k) for one, k in zip(now, new.values(), strict=True))
        assert old or (loaded and obj.one.weight is obj.two)
        assert not are_bytes_copied()
    assert lines > 50


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor")
@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr", "to_sparse_csc"])
@pytest.mark.parametrize("is_sparse", [True, False])
def test_a_sparse_tensor_of_a_file_is_in_the_file_and_not_missing(
    layout: str, is_sparse: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.pt"
    torch.save({"adj": getattr(torch.eye(3), layout)(), "w": torch.ones(2)}, path)
    model = nn.Module()
    model.register_buffer("w", torch.zeros(2))
    model.register_buffer("adj", torch.zeros(3, 3).to_sparse() if is_sparse else torch.zeros(3, 3))
    with read_state_dict(path) as state:
        text = str(plan_load(model, state))
    assert "adj: the file has the parts of a torch.sparse_" in text
    assert "to_dense()" in text
    assert "in the model, not in the file" not in text
