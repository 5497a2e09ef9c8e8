"""Extra state, lazy modules, map_location: values for slots that are not plain tensors."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from caten_sd.errors import LoadError
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.report import Outcome
from caten_sd.loading.with_state import with_state
from caten_sd.state.pieces import PIECE

from .loading import Extra, alike, filled


class TestExtraState:
    def test_it_is_loaded_and_accounted_for(self) -> None:
        model = nn.Sequential(Extra())
        plan = plan_load(model, {"0.w": torch.zeros(2), "0._extra_state": {"b": 2}})
        assert [row.outcome for row in plan.rows] == [Outcome.LOADED] * 2
        plan.apply()
        assert model[0].table == {"b": 2}

    def test_one_that_refuses_leaves_everything_as_it_was(self) -> None:
        model = nn.Sequential(Extra(), Extra())
        file = {
            "0.w": torch.zeros(2),
            "0._extra_state": {"b": 2},
            "1.w": torch.zeros(2),
            "1._extra_state": "no table",
        }
        before = copy.deepcopy(model)
        for assign in (False, True):
            with pytest.raises(LoadError, match=r"1\._extra_state .*the extra state is a table"):
                load_state_dict(model, file, assign=assign)
            alike(model, before)

    def test_it_comes_back_from_a_file(self, tmp_path: Path) -> None:
        saved, model = nn.Sequential(Extra(), Extra()), nn.Sequential(Extra(), Extra())
        saved[0].table = {"n": 3, "list": [torch.ones(2), None], "deep": {"w": torch.zeros(1)}}
        saved[1].table = {"empty": "no"}
        torch.save(nn.DataParallel(saved).state_dict(), tmp_path / "model.pt")
        load_state_dict(model, read_state_dict(tmp_path / "model.pt"), strict=True)
        found = model[0].table
        assert found["n"] == 3
        assert torch.equal(found["list"][0], torch.ones(2))
        assert found["list"][1] is None
        assert torch.equal(found["deep"]["w"], torch.zeros(1))
        assert model[1].table == {"empty": "no"}

    def test_it_is_copied(self) -> None:
        model, table = Extra(), {"a": [1]}
        load_state_dict(model, {"w": torch.zeros(2), "_extra_state": table})
        table["a"].append(2)
        assert model.table == {"a": [1]}

    def test_a_tensor_of_another_size_is_accepted(self) -> None:
        class Blob(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.blob = torch.zeros(3, dtype=torch.uint8)

            def get_extra_state(self) -> torch.Tensor:
                return self.blob

            def set_extra_state(self, state: torch.Tensor) -> None:
                self.blob = state

        model = Blob()
        load_state_dict(model, {"_extra_state": torch.ones(9, dtype=torch.uint8)}, strict=True)
        assert model.blob.tolist() == [1] * 9


class TestLazy:
    def test_a_lazy_module_takes_the_files_shapes(self) -> None:
        model = nn.Sequential(nn.LazyLinear(2), nn.LazyBatchNorm1d())
        file = filled(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), 1).state_dict()
        plan = plan_load(model, file)
        assert "it takes the shape of the file" in str(plan)
        assert isinstance(model[0].weight, nn.UninitializedParameter)
        plan.apply()
        assert model[0].weight.shape == (2, 3)
        assert torch.equal(model[0].weight, file["0.weight"])
        assert model(torch.ones(2, 3)).shape == (2, 2)

    @pytest.mark.parametrize("assign", [False, True])
    def test_torch_and_we_agree(self, assign: bool) -> None:
        theirs, ours = nn.LazyLinear(2), nn.LazyLinear(2)
        file = filled(nn.Linear(3, 2), 1).state_dict()
        theirs.load_state_dict(file, assign=assign)
        load_state_dict(ours, file, strict=True, assign=assign)
        alike(ours, theirs)

    def test_a_value_that_is_not_a_tensor_is_refused(self) -> None:
        plan = plan_load(nn.LazyLinear(2), {"weight": "text", "bias": torch.zeros(2)})
        assert [row.outcome for row in plan.rows] == [Outcome.UNREAD, Outcome.LOADED]


class TestMapLocation:
    @pytest.mark.parametrize(
        "location", ["cpu", torch.device("cpu"), {"cpu": "cpu"}, lambda storage, place: storage]
    )
    def test_every_form(self, location: object) -> None:
        model, file = nn.Linear(3, 2), nn.Linear(3, 2).state_dict()
        load_state_dict(model, file, strict=True, map_location=location)
        assert torch.equal(model.weight, file["weight"])
        assert model.weight.data_ptr() != file["weight"].data_ptr()
        assert isinstance(model.weight, nn.Parameter)

    def test_leaves_go_to_the_device_that_it_names(self) -> None:
        model, file = nn.Linear(3, 2), nn.Linear(3, 2).state_dict()
        load_state_dict(model, file, map_location={"cpu": "meta"})
        assert model.weight.is_meta

    def test_a_numpy_array_stays_in_the_hosts_memory(self) -> None:
        model = [np.zeros(2)]
        load_state_dict(model, {"0": np.ones(2)}, map_location="cpu")
        with pytest.raises(LoadError, match=r"numpy array.*'cuda'"):
            load_state_dict(model, {"0": np.zeros(2)}, map_location="cuda")
        assert model[0].tolist() == [1, 1]


class Tagged(nn.Parameter):
    pass


@pytest.mark.parametrize("options", [{}, {"assign": True}, {"dtype": "float64"}])
def test_a_parameter_is_replaced_by_one_of_its_class(options: dict) -> None:
    model = nn.Linear(2, 2)
    model.weight = Tagged(torch.zeros(2, 2), requires_grad=False)
    model.weight.tag = "sharded"
    new = with_state(model, nn.Linear(2, 2).state_dict(), strict=True, **options)
    assert (type(new.weight), new.weight.requires_grad, new.weight.tag) == (
        Tagged,
        False,
        "sharded",
    )
    assert type(new.bias) is nn.Parameter


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
@pytest.mark.parametrize("options", [{}, {"assign": True}, {"dtype": "float16"}])
@pytest.mark.parametrize("verb", [load_state_dict, with_state])
def test_a_nested_tensor_takes_another_with_rows_of_its_shapes(
    layout: torch.layout, options: dict, verb: Any
) -> None:
    def rows(*lengths: int) -> torch.Tensor:
        return torch.nested.nested_tensor([torch.ones(n) * n for n in lengths], layout=layout)

    new = verb({"w": rows(2, 3) * 0}, {"w": rows(2, 3)}, strict=True, **options)
    assert [row.tolist() for row in new["w"].unbind()] == [[2, 2], [3, 3, 3]]
    for other in (rows(3, 2), torch.zeros(2), torch.zeros(2, 3)):
        with pytest.raises(LoadError, match="nothing was changed"):
            verb({"w": rows(2, 3)}, {"w": other}, strict=True, **options)


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize("make", [torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_a_cast_whose_error_cannot_be_measured_is_a_load(make: Any, dtype: torch.dtype) -> None:
    model = {"w": make(torch.zeros(2, 2))}
    report = plan_load(model, {"w": make(torch.eye(2, dtype=dtype))}).apply()
    assert torch.equal(model["w"].to_dense(), torch.eye(2))
    (row,) = report.of(Outcome.CAST)
    assert row.error is None


@pytest.mark.parametrize("stored", [torch.bfloat16, torch.float16, torch.float64, torch.int32])
@pytest.mark.parametrize("shape", [(), (0, 3), (700, 1001)], ids=str)
def test_a_cast_from_a_file_gives_what_torch_casts_in_memory(
    tmp_path: Path, stored: torch.dtype, shape: tuple[int, ...]
) -> None:
    saved = (torch.randn(shape) * 100).to(stored)
    save_file({"w": saved}, tmp_path / "w.safetensors")
    whole = torch.zeros(2, *shape)
    for place in (nn.Parameter(torch.zeros(shape)), whole[1]):
        version = place._version
        plan_load({"w": place}, read_state_dict(tmp_path / "w.safetensors")).apply()
        assert torch.equal(place, saved.to(torch.float32))
        assert place._version > version or not place.numel()
    assert not whole[0].any()


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
def test_an_axis_of_one_element_has_any_step(tmp_path: Path, stored: torch.dtype) -> None:
    save_file({"w": torch.full((1, 1), 7, dtype=stored)}, tmp_path / "w.safetensors")
    whole = torch.zeros(3, 4)
    for place in (whole[1:2, ::2][:, 1:], whole.T[:1, :1]):
        plan_load({"w": place}, read_state_dict(tmp_path / "w.safetensors")).apply()
        assert place.item() == 7
    assert whole.count_nonzero() == 2


def test_a_cast_of_a_large_tensor_needs_the_memory_of_a_piece(tmp_path: Path) -> None:
    save_file({"w": torch.ones(1 << 22, dtype=torch.bfloat16)}, tmp_path / "w.safetensors")
    model, largest = {"w": torch.zeros(1 << 22)}, []
    with read_state_dict(tmp_path / "w.safetensors") as file:
        read_into = file["w"].source._backing.read_into
        file["w"].source._backing.read_into = lambda at, buffer: (
            largest.append(len(buffer)),
            read_into(at, buffer),
        )
        load_state_dict(model, file, strict=True)
    assert max(largest) <= PIECE
    assert sum(largest) == 2 << 22
    assert bool((model["w"] == 1).all())


def test_a_cast_from_a_file_does_not_ask_for_the_default_device(tmp_path: Path) -> None:
    save_file({"w": torch.ones(3, dtype=torch.float16)}, tmp_path / "w.safetensors")
    model = {"w": torch.zeros(3)}
    with torch.device("meta"):
        load_state_dict(model, read_state_dict(tmp_path / "w.safetensors"), strict=True)
    assert model["w"].tolist() == [1, 1, 1]
