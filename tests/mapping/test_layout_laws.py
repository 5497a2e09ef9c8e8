"""Every layout that can be built is a bijection: there and back is bit for bit the same."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from caten_sd.mapping.assembly import Concat, Split, Stack, Unstack
from caten_sd.mapping.heads import Regroup, Rotary
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.mapping.operations import Chain, Identity, Operation, Transpose
from caten_sd.mapping.rearrange import Rearrange
from caten_sd.mapping.rows import Row
from caten_sd.state.leaf import Numpy, Torch, as_array
from caten_sd.state.state_dict import StateDict
from tests.properties import examples

NUMBERS = {"n_head": 2, "n_kv_head": 1}
SHAPE = (12, 8)
ORIENTATIONS = [
    Identity(),
    Transpose(),
    Rotary("n_head"),
    Rotary("n_kv_head", axis=1, to="pairs"),
    Regroup(("n_head", "n_kv_head"), 2),
    Chain(Rotary("n_head"), Transpose()),
    Rearrange("(h d two) c -> (two h d) c", h="n_head", two=2),
    Rearrange("(h b) (k a) -> (k b) (h a)", h="n_head", k=2),
    Chain(Transpose(), Regroup((1, 1), "n_head")),
]
NAMES = ["bN.{i}", "deep.bN.{i}", "bN_{i}x", "bN.{i+3}", "bN.{2*i+1}.w", "x{i}y.bN", "bN.{i}_0.v"]
SHARES = ("n_head", "n_kv_head", "n_kv_head")


@st.composite
def rows(draw: Any, number: int) -> Row:
    """Draw a row; its canonical tensors are of SHAPE unless it takes some apart."""
    turn: Operation = draw(st.sampled_from(ORIENTATIONS))
    kind = draw(st.sampled_from(["one", "concat", "split", "stack", "unstack", "experts"]))
    a, b = f"a{number}.{{i}}", draw(st.sampled_from(NAMES)).replace("N", str(number))
    parts = (f"{a}.q", f"{a}.k", f"{a}.v")
    axis = draw(st.integers(0, 1))
    if kind == "concat":
        return Row(parts, b, Chain(Concat((1, 1, 1), axis), turn))
    if kind == "split":
        return Row(a, parts_of(b), Split(SHARES, axis))
    if kind == "stack":
        return Row(f"{a}.{{e}}.w", b, Chain(turn, Stack("e", axis)))
    if kind == "unstack":
        return Row(a, f"{b}.{{e}}.w", Unstack("e", axis))
    if kind == "experts":
        names = tuple(f"{a}.{{e}}.{part}" for part in ("gate", "up"))
        operation = Chain(turn, Concat((1, 1), axis), Stack("e"), Transpose((0, 2, 1)))
        return Row(names, b, operation)
    return Row(a, b, turn)


def parts_of(name: str) -> tuple[str, str, str]:
    return f"{name}.q", f"{name}.k", f"{name}.v"


@st.composite
def worlds(draw: Any) -> tuple[Layout, dict[str, Any]]:
    """Draw a layout and canonical tensors of random bits for it."""
    count = draw(st.integers(1, 4))
    drawn = [draw(rows(number)) for number in range(count)]
    bits = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from(["f4", "f2", "i8", "u1"]))
    state = {}
    for name in (name for row in drawn for name in row.canonical_names):
        for i in range(draw(st.integers(1, 2)) if "{e}" not in name else 2):
            for e in range(3 if "{e}" in name else 1):
                raw = bits.bytes(np.dtype(dtype).itemsize * SHAPE[0] * SHAPE[1])
                state[name.format(i=i, e=e)] = np.frombuffer(raw, dtype).reshape(SHAPE)
    if draw(st.booleans()):
        return Layout("drawn", drawn), whole(drawn, state)
    slashed = [replace(row, here=tuple(n.replace(".", "/") for n in row.names)) for row in drawn]
    return Layout("drawn", slashed, separator="/", prefixes=("x/",)), whole(drawn, state)


def whole(drawn: list[Row], state: dict[str, Any]) -> dict[str, Any]:
    """Leave out the tensors whose siblings are not there."""
    groups = [
        [n.format(i=i, e=e) for n in r.canonical_names]
        for r in drawn
        for i in (0, 1)
        for e in (0, 1, 2)
    ]
    broken = {key for keys in groups if any(k not in state for k in keys) for key in keys}
    return {key: leaf for key, leaf in state.items() if key not in broken}


def stored(state: StateDict, kind: Any) -> StateDict:
    """Return the state as if it had been written and read: every leaf in memory of its own."""
    made = {key: as_array(kind, leaf) for key, leaf in state.items()}
    entry = {key: np.array(as_array(Numpy(), leaf), order="C") for key, leaf in made.items()}
    return StateDict(entry, metadata=state.metadata)


def bits_of(state: Any) -> dict[str, Any]:
    return {key: (leaf.dtype, leaf.shape, leaf.tobytes()) for key, leaf in state.items()}


@settings(max_examples=examples(80))
@given(worlds(), st.sampled_from([Numpy(), Torch()]))
def test_every_layout_is_a_bijection(world: tuple[Layout, dict[str, Any]], kind: Any) -> None:
    layout, canonical = world
    options: dict[str, Any] = {"silent": True, **NUMBERS}
    here = stored(to_layout(canonical, layout, from_layout=layout.canonical, **options), kind)
    back = stored(to_layout(here, layout.canonical, from_layout=layout, **options), kind)
    assert bits_of(back) == bits_of(canonical)
    again = stored(to_layout(back, layout, **options), kind)
    assert bits_of(again) == bits_of(here)
    assert list(again) == list(here)


@settings(max_examples=examples(60))
@given(worlds())
def test_there_and_back_unread_gives_the_very_leaves(world: tuple[Layout, dict[str, Any]]) -> None:
    layout, canonical = world
    options: dict[str, Any] = {"silent": True, **NUMBERS}
    there = to_layout(canonical, layout, from_layout=layout.canonical, **options)
    back = to_layout(there, layout.canonical, from_layout=layout, **options)
    assert {key: id(leaf) for key, leaf in back.items()} == {
        key: id(leaf) for key, leaf in canonical.items()
    }
