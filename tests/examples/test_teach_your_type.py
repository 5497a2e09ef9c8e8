"""The example that teaches three types: each of its claims, and that it runs."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from caten_sd import LoadError, get_state_dict, load_state_dict, plan_load
from caten_sd.files.checkpoint import read_state_dict, write_state_dict

EXAMPLE = Path(__file__).parents[2] / "examples" / "teach_your_type.py"


@pytest.fixture(scope="module")
def taught() -> dict[str, Any]:
    torch.manual_seed(0)
    return runpy.run_path(str(EXAMPLE))


def test_it_runs_and_prints_the_error_of_the_round_trip(
    taught: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    taught["main"]()
    printed = capsys.readouterr().out
    assert "blocks.0.shift   -> (8 1)" in printed
    assert float(printed.rpartition(":")[2]) < 1e-2


def test_a_quantized_weight_comes_back_bit_for_bit(taught: dict[str, Any], tmp_path: Path) -> None:
    trained, fresh = taught["build"](), taught["build"]()
    write_state_dict(get_state_dict(trained), tmp_path / "m.safetensors")
    load_state_dict(fresh, read_state_dict(tmp_path / "m.safetensors"), strict=True)
    for one, other in zip(
        [fresh.embed, *fresh.blocks], [trained.embed, *trained.blocks], strict=True
    ):
        assert torch.equal(one.numbers, other.numbers)
        assert torch.equal(one.full(), other.full())


def test_a_pair_is_loaded_as_its_sum(taught: dict[str, Any]) -> None:
    trained, fresh = taught["build"](), taught["build"]()
    trained.head.up.data.normal_()
    before = fresh.head.base.clone()
    load_state_dict(fresh, get_state_dict(trained), strict=True)
    assert torch.allclose(fresh.head.full(), trained.head.full(), atol=1e-4)
    assert fresh.head.up.requires_grad
    assert not torch.equal(fresh.head.up, trained.head.up)
    assert torch.equal(fresh.head.base, before)


def test_a_pair_takes_a_plain_weight(taught: dict[str, Any]) -> None:
    fresh = taught["build"]()
    state = {**get_state_dict(fresh), "head": taught["BASE"] + torch.ones(8, 8)}
    load_state_dict(fresh, state, strict=True)
    assert torch.allclose(fresh.head.full(), state["head"], atol=1e-4)


def test_a_taught_leaf_is_planned_like_any_other(taught: dict[str, Any]) -> None:
    fresh = taught["build"]()
    state = {**get_state_dict(fresh), "head": torch.ones(4, 8)}
    assert "head" in str(plan_load(fresh, state))
    before = fresh.head.full()
    with pytest.raises(LoadError):
        load_state_dict(fresh, state, strict=True)
    assert torch.equal(fresh.head.full(), before)


def test_a_taught_type_is_found_inside_other_containers(taught: dict[str, Any]) -> None:
    pairs = taught["to_state_dict"]({"w": [taught["build"]()]}, ["net"])
    assert pairs[0][0] == ["net", "w", 0, "embed", "numbers"]
