"""Random disguises of small models: the layout that is found converts other weights as well."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from caten_sd import Explanation, explain, to_layout
from caten_sd.files.cast import cast_floats
from caten_sd.layout import Rotary
from caten_sd.state.state_dict import StateDict

NAMES = ["attn.q", "attn.k", "attn.v", "attn.out", "mlp.up", "mlp.down", "norm", "conv"]
SHAPES = {"mlp.up": (48, 32), "mlp.down": (32, 48), "norm": (32,), "conv": (16, 1, 4)}
LAYERS, EXPERTS = 3, 4

Arrays = dict[str, Any]
Change = Callable[[Any], Any]


def turned(choice: random.Random) -> Change:
    """Return a change of one tensor, by its rank."""
    heads = choice.choice([2, 4])
    to = choice.choice(["halves", "pairs"])
    changes: list[Change] = [
        lambda w: w,
        lambda w: w.T if w.ndim < 3 else w.transpose(2, 1, 0),
        lambda w: Rotary(heads, to=to).apply({(): w})[()].numpy(),
        lambda w: w.reshape(heads, -1, *w.shape[1:]),
        lambda w: w.reshape(w.shape[0], -1) if w.ndim > 1 else w[:, None],
        lambda w: w.reshape(heads, -1, *w.shape[1:]).swapaxes(0, 1).reshape(w.shape),
    ]
    return choice.choice(changes)


def disguised(plan: int, values: int) -> tuple[Arrays, Arrays]:
    """Return a model and the same weights under a disguise, which ``plan`` alone decides."""
    choice, source = random.Random(plan), np.random.default_rng(values)
    words = [f"{choice.choice('abcdefgh')}{n}x" for n in range(40)]
    start, joins = choice.choice(["blk", "layers", "enc.layer"]), choice.random() < 0.5
    changes = {name: turned(choice) for name in (*NAMES, "expert", "embed")}
    axis, grouped = choice.choice([0, 1]), choice.random() < 0.5
    stacks, splits = choice.random() < 0.7, choice.random() < 0.5

    def made(shape: tuple[int, ...]) -> Any:
        return source.standard_normal(shape).astype("f4")

    a: Arrays = {"embed.weight": made((40, 32))}
    b: Arrays = {words[39]: changes["embed"](a["embed.weight"])}
    for i in range(LAYERS):
        here: Arrays = {name: made(SHAPES.get(name, (32, 32))) for name in NAMES}
        there = {name: changes[name](w) for name, w in here.items()}
        if joins:
            parts = [here[name] for name in ("attn.q", "attn.k", "attn.v")]
            joined = np.concatenate(parts, axis)
            if grouped and axis == 0:
                joined = joined.reshape(3, 4, 8, 32).swapaxes(0, 1).reshape(96, 32)
            there = {
                "attn.qkv": joined,
                **{n: w for n, w in there.items() if n[-2:] not in (".q", ".k", ".v")},
            }
        if splits:
            whole = there.pop("mlp.up")
            there["one"], there["two"] = (
                np.split(whole, 2) if len(whole) % 2 == 0 else (whole[:, :1], whole[:, 1:])
            )
        order = list(there)
        a |= {f"h.{i}.{name}.weight": w for name, w in here.items()}
        b |= {f"{start}.{i}.{words[n]}.w": there[name] for n, name in enumerate(order)}
        experts = [made((24, 32)) for _ in range(EXPERTS)]
        a |= {f"h.{i}.experts.{e}.w.weight": w for e, w in enumerate(experts)}
        changed = [changes["expert"](w) for w in experts]
        if stacks:
            b[f"{start}.{i}.exps"] = np.stack(changed)
        else:
            b |= {f"{start}.{i}.e{e}.{words[30]}": w for e, w in enumerate(changed)}
    keys = list(b)
    choice.shuffle(keys)
    return a, {key: np.ascontiguousarray(b[key]) for key in keys}


def stored(b: Arrays, kind: str, seed: int) -> StateDict:
    state = StateDict(b)
    if kind == "trained":
        source = np.random.default_rng(seed)
        near = {k: w + 1e-3 * source.standard_normal(w.shape).astype("f4") for k, w in b.items()}
        return state.with_entry(near)
    return state if kind == "as it is" else cast_floats(state, kind)


def check(plan: int, kind: str) -> Explanation:
    a, b = disguised(plan, 0)
    found = explain(a, stored(b, kind, plan))
    assert not found.wrong
    if found.layout is None:
        return found
    other, expected = disguised(plan, 1)
    made = to_layout(other, found.layout, from_layout=found.layout.canonical, silent=True)
    undecided = {each.key for each in found.undecided}
    assert expected.keys() - undecided <= made.keys()
    for key in expected.keys() - undecided:
        assert np.array_equal(np.asarray(made[key]), expected[key]), (plan, kind, key)
    return found


KINDS = ["as it is", "bf16", "f16", "q8_0", "trained"]


@pytest.mark.parametrize("plan", range(5))
def test_no_row_is_wrong(plan: int) -> None:
    for kind in KINDS:
        found = check(plan, kind)
        assert found.is_whole or kind in ("q8_0", "trained")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_row_of_many_disguises_is_wrong(kind: str) -> None:
    whole = [check(plan, kind).is_whole for plan in range(1000, 1100)]
    assert all(whole) or kind in ("q8_0", "trained")
