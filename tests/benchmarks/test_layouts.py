"""What planning a layout costs: a tensor of a mixture of experts, and how that grows."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from caten_sd import detect_layout, plan_layout
from caten_sd.layout import Layout, Rotary, Row, Stack, extend

from .conftest import Race

LIMIT = 25.0  # microseconds a tensor
LAYER = "model.layers.{i}"
SHAPES = {
    "self_attn.q_proj": ("d", "d"),
    "self_attn.k_proj": ("kv", "d"),
    "self_attn.v_proj": ("kv", "d"),
    "self_attn.o_proj": ("d", "d"),
    "mlp.gate": ("e", "d"),
    "input_layernorm": ("d",),
}
EXPERT = {"gate": ("f", "d"), "up": ("f", "d"), "down": ("d", "f")}
HERE = {
    "self_attn.q_proj": ("attn_q", Rotary("n_head", to="pairs")),
    "self_attn.k_proj": ("attn_k", Rotary("n_kv_head", to="pairs")),
    "self_attn.v_proj": ("attn_v",),
    "self_attn.o_proj": ("attn_output",),
    "mlp.gate": ("ffn_gate_inp",),
    "input_layernorm": ("attn_norm",),
}
HF = Layout(
    "hf-experts",
    [
        *(Row(f"{LAYER}.{name}.weight", shape=shape) for name, shape in SHAPES.items()),
        *(Row(f"{LAYER}.experts.{{e}}.{p}.weight", shape=shape) for p, shape in EXPERT.items()),
    ],
)
GGUF = Layout(
    "gguf-experts",
    [
        *(
            Row(f"{LAYER}.{name}.weight", f"blk.{{i}}.{here}.weight", *operation)
            for name, (here, *operation) in HERE.items()
        ),
        *(
            Row(f"{LAYER}.experts.{{e}}.{p}.weight", f"blk.{{i}}.ffn_{p}_exps.weight", Stack("e"))
            for p in EXPERT
        ),
    ],
    base=HF,
)
SIZES = {"d": 8, "kv": 4, "e": 4, "f": 6}


def experts(tensors: int) -> dict[str, Any]:
    """Return a model of 32 layers with about this many tensors."""
    count = tensors // 32 // len(EXPERT)
    names = {f"{name}.weight": shape for name, shape in SHAPES.items()}
    names |= {f"experts.{e}.{p}.weight": shape for e in range(count) for p, shape in EXPERT.items()}
    leaves = {
        s: np.zeros([SIZES[n] for n in s], "f4") for s in (*SHAPES.values(), *EXPERT.values())
    }
    return {
        f"model.layers.{i}.{name}": leaves[shape].view()
        for i in range(32)
        for name, shape in names.items()
    }


def each(state: dict[str, Any], target: Layout, source: Layout) -> Callable[[], float]:
    """Return a function that plans, and returns the microseconds of the processor for a tensor."""

    def run() -> float:
        gc.collect()
        start = time.process_time()
        plan_layout(state, target, from_layout=source, n_head=4, n_kv_head=2)
        return (time.process_time() - start) / len(state) * 1e6

    return run


def measure(run: Callable[[], float]) -> float:
    return run()


def planned(state: dict[str, Any]) -> dict[str, Any]:
    plan = plan_layout(state, GGUF, from_layout=HF, n_head=4, n_kv_head=2)
    return dict(plan.state_dict)


@pytest.mark.parametrize("there", [True, False], ids=["stacking", "unstacking"])
def test_a_plan_of_10_000_tensors(race: Race, there: bool) -> None:
    state = experts(10_000)
    run = each(state, GGUF, HF) if there else each(planned(state), HF, GGUF)
    per = 1.0 if there else len(planned(state)) / len(state)  # for a tensor of the larger side
    what = (
        f"plan a layout of 10,000 tensors, {'stack' if there else 'unstack'}ing, a tensor / 25 us"
    )
    race(what, lambda: run() * per, lambda: LIMIT, 1.0, pairs=5, measure=measure, unit="us")


@pytest.mark.slow
def test_a_plan_of_100_000_tensors(race: Race) -> None:
    few, many = each(experts(10_000), GGUF, HF), each(experts(100_000), GGUF, HF)
    what = "plan a layout, a tensor of 100,000 / one of 10,000"
    race(what, many, few, 1.2, pairs=3, measure=measure, unit="us")


def others(count: int) -> list[Layout]:
    """Return layouts of which half name each key of the model of experts, and more."""
    alike = [
        extend(HF, f"hf-alike-{n}", [Row(f"{LAYER}.more{n}.weight")]) for n in range(count // 2)
    ]
    foreign = [
        Layout(f"foreign-{n}", [Row(f"blk.{{i}}.{name}{n}.w") for name in "abcdefgh"])
        for n in range(count - count // 2)
    ]
    return [*alike, *foreign]


@pytest.mark.slow
@pytest.mark.parametrize("prefixes", [0, 8])
def test_detecting_among_100_layouts(race: Race, prefixes: int) -> None:
    layouts = [HF, GGUF, *others(98)]
    state = {"net." * prefixes + key: leaf for key, leaf in experts(100_000).items()}

    def seconds() -> float:
        gc.collect()
        start = time.process_time()
        found = detect_layout(state, layouts=layouts)
        assert HF in (found.layout, found.unprefixed)
        return time.process_time() - start

    what = f"detect the layout of 100,000 tensors under {prefixes} prefixes among 100 / 3 s"
    race(what, seconds, lambda: 3.0, 1.0, pairs=3, measure=measure, unit="s")
