"""Places: what can be written into, what refuses before the first write, and slots at a path."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch
from torch import nn

from caten_sd.errors import LoadError, NoApplicableMethodError
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.report import Outcome
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.place import assign, of_its_kind, refusal, replacement
from caten_sd.state.dtype import DTYPES
from caten_sd.state.leaf import Numpy, Spec, as_array, spec, spec_of


class TestNumpy:
    def test_copies_cast_and_reshape_one_element(self) -> None:
        place = np.zeros((), np.float32)
        assign(place, torch.tensor([3.0], dtype=torch.bfloat16))
        assert place == 3

    def test_refusal(self) -> None:
        place = np.zeros(2)
        assert refusal(place, place) == ""
        place.flags.writeable = False
        assert "read-only" in (refusal(place, np.ones(2)) or "")

    def test_replacement(self) -> None:
        place, leaf = np.zeros(2, np.float32), np.ones(2, np.float32)
        assert replacement(place, leaf) is leaf or np.shares_memory(replacement(place, leaf), leaf)
        assert not np.shares_memory(replacement(place, leaf, copy=True), leaf)
        assert replacement(place, leaf, dtype=DTYPES["float64"]).dtype == np.float64


class TestTorch:
    def test_refusal(self) -> None:
        leaf = np.zeros(3)
        assert refusal(torch.zeros(3), leaf) == ""
        assert refusal(nn.Parameter(torch.zeros(3)), leaf) == ""
        assert "share memory" in (refusal(torch.zeros(1).expand(3), leaf) or "")
        assert refusal(torch.zeros(1).expand(1), leaf) == ""
        assert "meta device" in (refusal(torch.zeros(3, device="meta"), leaf) or "")

    def test_a_leaf_in_the_kind_of_its_place(self) -> None:
        assert of_its_kind(torch.zeros(2), np.ones(2, np.float32)).dtype is torch.float32
        assert of_its_kind("no place", 5) == 5

    def test_replacement_is_of_the_kind_of_what_it_replaces(self) -> None:
        place = nn.Parameter(torch.zeros(2), requires_grad=False)
        new = replacement(place, np.ones(2, np.float32))
        assert isinstance(new, nn.Parameter)
        assert not new.requires_grad
        leaf = torch.ones(2)
        assert replacement(torch.zeros(2), leaf) is leaf
        assert replacement(torch.zeros(2), leaf, copy=True) is not leaf

    def test_gradients_and_versions_are_not_disturbed(self) -> None:
        place = nn.Parameter(torch.zeros(2))
        assign(place, torch.ones(2))
        assert place.grad is None
        assert place.is_leaf

    def test_a_sparse_place_takes_sparse_leaves(self) -> None:
        model = {"w": torch.zeros(2, 2).to_sparse()}
        load_state_dict(model, {"w": torch.eye(2).to_sparse()}, strict=True)
        assert torch.equal(model["w"].to_dense(), torch.eye(2))
        with pytest.raises(LoadError, match="dense and its slot is sparse_coo"):
            load_state_dict(model, {"w": torch.eye(2)})


class Pair:
    """A user's type: a scale and rounded values. It is one leaf, and knows how to be set."""

    def __init__(self, values: np.ndarray, refuse: bool = False) -> None:
        self.refuse = refuse
        self.set(values)

    def set(self, values: np.ndarray) -> None:
        self.scale = float(np.abs(values).max()) or 1.0
        self.rounded = np.round(values / self.scale * 127).astype(np.int8)


@to_state_dict.register(Pair)
def _pairs(pair: Pair, parent: list) -> list:
    return [(parent, pair)]


@spec.register(Pair)
def _spec(pair: Pair) -> Spec:
    return spec_of(pair.rounded.shape, DTYPES["float32"])


@as_array.register(Numpy, Pair)
def _array(kind: Numpy, pair: Pair) -> np.ndarray:
    return pair.rounded.astype(np.float32) / 127 * pair.scale


@assign.register(Pair)
def _set(pair: Pair, leaf: object) -> None:
    pair.rounded[:] = 0  # half-way, it is in no good state
    if pair.refuse:
        raise ValueError("no thanks")
    pair.set(as_array(Numpy(), leaf))


class TestAUsersType:
    def test_it_is_a_place_and_a_leaf(self) -> None:
        model, saved = {"w": Pair(np.zeros(3))}, {"w": Pair(np.array([1.0, 0.5, -1.0]))}
        load_state_dict(model, saved, strict=True)
        assert np.allclose(as_array(Numpy(), model["w"]), [1, 0.5, -1], atol=0.01)
        plain = {"w": torch.zeros(3)}
        load_state_dict(plain, {"w": as_array(Numpy(), saved["w"])}, strict=True)

    def test_one_that_refuses_half_way_is_tried_on_a_copy_first(self) -> None:
        model = {"a": torch.zeros(3), "w": Pair(np.ones(3), refuse=True), "z": torch.zeros(3)}
        before = model["w"].rounded.copy()
        file = {key: np.ones(3, np.float32) for key in model}
        with pytest.raises(
            LoadError, match=r"w cannot be loaded \(no thanks\); nothing was changed"
        ):
            load_state_dict(model, file)
        assert not model["a"].any()
        assert not model["z"].any()
        assert np.array_equal(model["w"].rounded, before)

    def test_one_that_takes_no_value_is_unassignable(self) -> None:
        class Shown:
            """A leaf by its spec alone."""

        to_state_dict.register(Shown)(_shown := lambda leaf, parent: [(parent, leaf)])
        spec.register(Shown)(lambda leaf: spec_of((3,), DTYPES["float32"]))
        plan = plan_load({"w": Shown()}, {"w": np.ones(3, np.float32)})
        assert [row.outcome for row in plan.rows] == [Outcome.UNASSIGNABLE]
        with pytest.raises(LoadError, match="a Shown that takes no ndarray"):
            plan.apply()

    def test_it_cannot_be_replaced_by_one_of_another_dtype_without_a_method(self) -> None:
        with pytest.raises(LoadError, match="by one with dtype="):
            replacement(Pair(np.zeros(2)), np.zeros(2), dtype=DTYPES["float64"])
        with pytest.raises(NoApplicableMethodError):
            replacement(Pair(np.zeros(2)), np.zeros(2))


def test_a_validator_that_refuses_leaves_every_slot_as_it_was() -> None:
    def small(instance: object, attribute: object, value: np.ndarray) -> None:
        if value.max() > 9:
            raise ValueError("too large")

    @attrs.define(on_setattr=attrs.setters.validate)
    class Checked:
        first: np.ndarray = attrs.field(factory=lambda: np.zeros(1), validator=small)
        second: np.ndarray = attrs.field(factory=lambda: np.zeros(1), validator=small)

    model = Checked()
    kept = model.first
    with pytest.raises(LoadError, match=r"second of Checked cannot take .*too large.*nothing"):
        load_state_dict(model, {"first": np.ones(1), "second": np.full(1, 10.0)}, assign=True)
    assert model.first is kept
