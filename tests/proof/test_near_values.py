"""Tensors whose values are near: quantized or trained a little, and never paired wrongly."""

from typing import Any

import numpy as np
import pytest

from caten_sd import explain
from caten_sd.files.cast import cast_floats
from caten_sd.layout import Operation, Rearrange, Rotary, Transpose
from caten_sd.state.state_dict import StateDict

SHAPES = [(64, 64), (64, 64), (128, 64), (64, 128), (64, 1, 32), (256,)]
OPERATIONS: list[Operation | None] = [
    Transpose(), Rotary(4, to="pairs"), None, Transpose(), Rearrange("a 1 b -> a b"), None
]  # fmt: skip


def pair(seed: int) -> tuple[StateDict, StateDict]:
    random = np.random.default_rng(seed)
    a: dict[str, Any] = {
        f"h.{i}.w{n}": random.standard_normal(shape).astype("f4")
        for i in range(3)
        for n, shape in enumerate(SHAPES)
    }
    b = {}
    for key, w in a.items():
        operation = OPERATIONS[int(key[-1])]
        other = w if operation is None else operation.apply({(): w})[()].numpy()
        b[f"l.{key[2]}.{'fedcba'[int(key[-1])]}"] = np.ascontiguousarray(other)
    return StateDict(a), StateDict(b)


def trained(state: StateDict) -> StateDict:
    random = np.random.default_rng(7)
    return state.with_entry(
        {k: w + 1e-3 * random.standard_normal(w.shape).astype("f4") for k, w in state.items()}
    )


@pytest.mark.parametrize(("change", "apart"), [("q8_0", 0.01), ("q4_0", 0.15), ("trained", 0.002)])
def test_every_tensor_finds_its_own(change: str, apart: float) -> None:
    a, b = pair(0)
    changed = trained(b) if change == "trained" else cast_floats(b, change)
    found = explain(a, changed)
    assert found.is_whole
    assert len(found.rows) == len(SHAPES)
    told = {row.canonical: row.operation for row in found.rows if not row.renames_only}
    assert told == {f"h.{{i}}.w{n}": each for n, each in enumerate(OPERATIONS) if each}
    assert 0 < found.apart < apart
    assert "spread apart" in str(found)
    assert found.layout is not None
    assert found.layout.proof.startswith("near values")


def test_two_seeds_are_not_paired() -> None:
    (a, _), (_, b) = pair(0), pair(1)
    assert explain(a, b).layout is None


def test_two_candidates_are_left_open() -> None:
    a, _ = pair(0)
    near = {f"l.{n}": a["h.0.w0"] + np.float32(1e-3) * a["h.1.w0"] * n for n in (2, 3)}
    found = explain({"w": a["h.0.w0"]}, near)
    assert found.layout is None
    assert len(found.undecided) == 3
