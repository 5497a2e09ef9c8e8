"""What was written as one state dict reads back as one, whatever its names look like."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from caten_sd import StateDictError, read_state_dict, write_state_dict
from caten_sd.state.state_dict import StateDict
from tests.properties import examples

SEGMENTS = ["step", "opt", "optimizer", "model", "ema", "state_dict", "params", "epoch", "w", "0"]
SEGMENTS += ["1", "optics", "opt_state", "lr", "rng", "values", "\u00fc", "state", "param_groups"]
SHAPES: list[tuple[int, ...]] = [(), (1,), (2, 3), (0,), (16,)]

KEYS = some.lists(some.sampled_from(SEGMENTS), min_size=1, max_size=3).map(".".join)
LEAVES = some.tuples(some.sampled_from(SHAPES), some.sampled_from(["f4", "i8", "u1"]))
STATES = some.dictionaries(KEYS, LEAVES, min_size=1, max_size=6)
METADATA = some.dictionaries(some.sampled_from(["note", "w", "step"]), KEYS, max_size=2)

TARGETS = [
    ("w.safetensors", {}),
    ("w.pt", {}),
    ("w.npz", {}),
    ("w.msgpack", {}),
    ("w.gguf", {}),
    ("w.dcp", {}),
    ("npy/", {}),
    ("shards/", {"max_shard_size": "20B"}),
]


def leaf(number: int, spec: tuple[tuple[int, ...], str]) -> Any:
    shape, dtype = spec
    return (np.arange(int(np.prod(shape)), dtype=dtype) + number).reshape(shape)


@pytest.mark.parametrize(("name", "options"), TARGETS)
@given(STATES, METADATA)
@example({"scale": ((), "f4"), "body.weight": ((2, 3), "f4")}, {})
@example({"optics.w": ((2, 3), "f4"), "encoder.w": ((2, 3), "f4")}, {})
@example({"logit_scale": ((), "f4"), "text.w": ((2,), "f4"), "vision.w": ((2,), "f4")}, {})
@example({"model.w": ((2,), "f4"), "optimizer.w": ((2,), "f4"), "step": ((), "i8")}, {})
@example({"params.w": ((2,), "f4"), "opt_state.mu": ((2,), "f4"), "step": ((), "i8")}, {})
@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_state_dict_reads_back_or_is_refused_before_the_first_byte(
    tmp_path: Path, name: str, options: dict[str, Any], specs: Any, metadata: dict[str, str]
) -> None:
    folder = tmp_path / "out"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    state = {key: leaf(number, spec) for number, (key, spec) in enumerate(specs.items())}
    target = f"{folder}/{name}"
    try:
        write_state_dict(StateDict(state, metadata=metadata), target, **options)
    except StateDictError:  # a limit of the format
        assert list(folder.iterdir()) == []
        return
    with read_state_dict(target) as found:
        assert list(found) == list(state)
        for key, array in state.items():
            assert np.array_equal(found[key].numpy(), array), key
            assert found[key].numpy().dtype == array.dtype
        assert {key: found.metadata.get(key) for key in metadata} == metadata
        assert (dict(found.ties), found.others, found.rest) == ({}, {}, {})


TENSORS = some.sampled_from([(2, 3), (4,), (1,)])
NAMES = some.sampled_from(["fc", "layers", "norm", "w", "head", "optics", "step_size", "scale"])
MODULES = some.recursive(
    TENSORS,
    lambda inner: (
        some.dictionaries(NAMES, inner, min_size=1, max_size=3)
        | some.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)
AROUND = some.fixed_dictionaries(
    {},
    optional={
        "epoch": some.just(3),
        "global_step": some.just(torch.tensor(7)),
        "optimizer": some.just({"state": {0: {"exp_avg": torch.ones(2, 3)}}, "param_groups": []}),
        "optimizer_states": some.just([]),
        "args": some.just({"lr": 0.1, "betas": [0.9, 0.99]}),
        "rng_state": some.just(torch.zeros(8, dtype=torch.uint8)),
        "callbacks": some.just({"best": {"score": torch.tensor(0.5), "path": "x"}}),
    },
).filter(lambda around: around.keys() & {"epoch", "global_step", "optimizer"})


def built(shape_or_tree: Any) -> Any:
    if isinstance(shape_or_tree, tuple):
        return torch.rand(shape_or_tree)
    if isinstance(shape_or_tree, list):
        return [built(child) for child in shape_or_tree]
    return {name: built(child) for name, child in shape_or_tree.items()}


def flat(tree: Any, prefix: str = "") -> dict[str, torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        return {prefix: tree}
    children = enumerate(tree) if isinstance(tree, list) else tree.items()
    return {
        key: leaf
        for name, child in children
        for key, leaf in flat(child, f"{prefix}.{name}" if prefix else str(name)).items()
    }


@given(
    some.sampled_from(["model", "state_dict", "net", "params"]),
    some.dictionaries(NAMES, MODULES, min_size=1, max_size=3),
    some.booleans(),
    AROUND,
)
@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_nested_checkpoint_gives_every_tensor_of_its_model(
    tmp_path: Path, name: str, shapes: Any, dotted: bool, around: dict[str, Any]
) -> None:
    model = built(shapes)
    expected = flat(model)
    torch.save({name: expected if dotted else model, **around}, tmp_path / "run.pt")
    with read_state_dict(tmp_path / "run.pt") as found:
        assert list(found) == list(expected)
        assert all(torch.equal(found[key].torch(), leaf) for key, leaf in expected.items())
