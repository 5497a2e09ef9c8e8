"""Joined, split and stacked tensors that were quantized or trained are told by their values."""

from typing import Any

import numpy as np
import pytest

from caten_sd import explain, to_layout
from caten_sd.files.cast import cast_floats
from caten_sd.layout import Chain, Concat, Split, Stack, Transpose, Unstack
from caten_sd.state.state_dict import StateDict

State = dict[str, Any]


def made(seed: int, layers: int = 2, experts: int = 3) -> tuple[State, State]:
    """Return a small mixture of experts, and the same with joined and stacked tensors."""
    random = np.random.default_rng(seed)
    a: State = {}
    b: State = {}
    for i in range(layers):
        shapes = {"q": (64, 64), "k": (32, 64), "v": (32, 64), "o": (64, 64)}
        own = {n: random.standard_normal(shape).astype("f4") for n, shape in shapes.items()}
        a |= {f"h.{i}.{name}": each for name, each in own.items()}
        b |= {f"l.{i}.qkv": np.concatenate([own["q"], own["k"], own["v"]]), f"l.{i}.out": own["o"]}
        gate, up, down = random.standard_normal((3, experts, 96, 64)).astype("f4")
        for e in range(experts):
            a |= {f"h.{i}.{e}.gate": gate[e], f"h.{i}.{e}.up": up[e], f"h.{i}.{e}.down": down[e].T}
        b |= {f"l.{i}.gate_up": np.concatenate([gate, up], 1), f"l.{i}.down": down.swapaxes(1, 2)}
    return a, {key: np.ascontiguousarray(each) for key, each in b.items()}


def changed(state: State, how: str) -> StateDict:
    if how != "trained":
        return cast_floats(StateDict(state), how)
    random = np.random.default_rng(7)
    noise = {key: random.standard_normal(each.shape).astype("f4") for key, each in state.items()}
    return StateDict({key: each + 1e-2 * noise[key] for key, each in state.items()})


OPERATIONS = {
    "l.{i}.qkv": Concat((2, 1, 1)),
    "l.{i}.gate_up": Chain(Stack("e"), Concat((1, 1), 1)),
    "l.{i}.down": Stack("e"),
}


@pytest.mark.parametrize("how", ["q8_0", "q4_0", "trained"])
def test_parts_are_found_both_ways(how: str) -> None:
    a, b = made(0)
    found = explain(a, changed(b, how))
    assert found.is_whole
    assert found.apart
    told = {row.names[0]: row.operation for row in found.rows if not row.renames_only}
    assert told == OPERATIONS
    back = explain(changed(b, how), a)
    assert back.is_whole
    assert {row.canonical_names[0]: row.operation for row in back.rows if not row.renames_only} == {
        "l.{i}.qkv": Split((2, 1, 1)),
        "l.{i}.gate_up": Chain(Split((1, 1), 1), Unstack("e")),
        "l.{i}.down": Unstack("e"),
    }


def test_the_layout_converts_other_weights() -> None:
    found = explain(made(0)[0], changed(made(0)[1], "q8_0"))
    assert found.layout is not None
    other, expected = made(1, layers=3)
    layout = found.layout
    result = to_layout(other, layout, from_layout=layout.canonical, strict=True, silent=True)
    assert result.keys() == expected.keys()
    for key, each in expected.items():
        np.testing.assert_array_equal(result[key], each)


def test_axes_that_are_turned_as_well() -> None:
    a, b = made(0)
    turned = {key: np.ascontiguousarray(each.swapaxes(-1, -2)) for key, each in b.items()}
    found = explain(a, changed(turned, "q8_0"))
    assert found.is_whole
    told = {row.names[0]: row.operation for row in found.rows}
    assert told["l.{i}.qkv"] == Chain(Concat((2, 1, 1)), Transpose())
    assert told["l.{i}.down"] == Chain(Stack("e"), Transpose((0, 2, 1)))


@pytest.mark.parametrize("change", ["seed", "part", "twice", "order"])
def test_what_is_not_told_is_left_open(change: str) -> None:
    """Another seed, a part of another tensor, two alike tensors, another order in a stack."""
    a, b = made(0)
    if change == "seed":
        b = made(1)[1]
    elif change == "part":
        b = {key: each[:, ::-1].copy() for key, each in b.items()}
    elif change == "twice":
        a |= {f"{key}.copy": each + np.float32(1e-4) for key, each in a.items()}
    else:
        b = {key: each[[1, 0, 2]] for key, each in b.items() if each.ndim == 3}
    found = explain(a, changed(b, "q8_0"))
    told = {row.names[0] for row in found.rows}
    assert not told & OPERATIONS.keys()
    assert not found.wrong


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_values_that_are_not_finite_or_too_large_are_near_none(value: float) -> None:
    a, b = made(0)
    other = {key: each.copy() for key, each in b.items()}
    other["l.0.qkv"][0, 0] = other["l.1.gate_up"][0, 0, 0] = value
    for found in (explain(a, changed(other, "trained")), explain(changed(other, "trained"), a)):
        left = {each.key for each in found.undecided}
        assert {"l.0.qkv", "l.1.gate_up"} <= left
        assert not left & {"l.1.qkv", "l.0.gate_up"}
    wide = {key: each.astype("f8") * 1e200 for key, each in b.items()}
    assert not explain(a, wide).wrong
