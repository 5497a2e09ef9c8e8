"""Rearrange does what einops does, is undone exactly, and moves packed rows as they are."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import LayoutError
from caten_sd.layout import Chain, Each, Layout, Rearrange, Regroup, Rotary, Row, Split
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.mapping.operations import Operation
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import Numpy, as_array, spec

CASES: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("(h two d) c -> (h d two) c", {"h": 3, "two": 2}, (12, 5)),
    ("(h d two) c -> (h two d) c", {"h": 3, "two": 2}, (12, 5)),
    ("c 1 k -> c k", {}, (4, 1, 3)),
    ("c k -> 1 c k", {}, (4, 3)),
    ("1 (a b) -> (b a)", {"a": 2}, (1, 6)),
    ("(h x) r -> h x r", {"h": 2}, (6, 5)),
    ("h x r -> h r x", {"h": 2}, (2, 3, 5)),
    ("o (c p q) -> o c p q", {"p": 2, "q": 3}, (4, 18)),
    ("o i h w -> h w i o", {}, (2, 3, 4, 5)),
    ("(three h d) c -> (h three d) c", {"three": 3, "h": 2}, (12, 4)),
    ("e (h two d) c -> e (h d two) c", {"h": 2, "two": 2}, (3, 8, 4)),
    ("a -> a 1", {}, (4,)),
]


def run(operation: Operation, array: Any) -> Any:
    return np.array(as_array(Numpy(), operation.leaf(array)), order="C")


@pytest.mark.parametrize(("pattern", "sizes", "shape"), CASES)
def test_einops_does_the_same(pattern: str, sizes: dict[str, int], shape: tuple[int, ...]) -> None:
    einops = pytest.importorskip("einops")
    array = np.random.default_rng(1).random(shape)
    operation = Rearrange(pattern, **sizes)
    assert np.array_equal(run(operation, array), einops.rearrange(array, pattern, **sizes))
    moved = as_array(Numpy(), operation.leaf(torch.from_numpy(array)))
    assert np.array_equal(moved, einops.rearrange(array, pattern, **sizes))


@st.composite
def patterns(draw: Any) -> tuple[str, dict[str, int], tuple[int, ...]]:
    """Draw a pattern with the sizes of all axes but some, and a shape for it."""
    names = draw(st.permutations("abcd"[: draw(st.integers(1, 4))]))
    extents = {name: draw(st.integers(0, 3)) for name in names}
    before, after = (groups(draw, order) for order in (names, draw(st.permutations(names))))
    shape = tuple(int(np.prod([extents[name] for name in group])) for group in before)
    open_names = {g[0] for g in before if len(g) == 1} & {g[0] for g in after if len(g) == 1}
    sizes = {name: max(extents[name], 1) for name in names if name not in open_names}
    shape = tuple(
        int(np.prod([sizes.get(name, extents[name]) for name in group])) for group in before
    )
    return f"{text(before)} -> {text(after)}", sizes, shape


def groups(draw: Any, names: Any) -> list[list[str]]:
    cuts = sorted(draw(st.sets(st.integers(1, len(names) - 1)))) if len(names) > 1 else []
    found = [list(names[a:b]) for a, b in itertools.pairwise([0, *cuts, len(names)])]
    for _ in range(draw(st.integers(0, 2))):
        found.insert(draw(st.integers(0, len(found))), [])
    return found


def text(found: list[list[str]]) -> str:
    words = [group[0] if len(group) == 1 else f"({' '.join(group)})" for group in found]
    return " ".join(words).replace("()", "1")


@given(patterns())
def test_every_pattern_is_undone_and_is_what_reshapes_and_a_transpose_give(case: Any) -> None:
    pattern, sizes, shape = case
    array = np.arange(int(np.prod(shape))).reshape(shape)
    operation = Rearrange(pattern, **sizes)
    moved = run(operation, array)
    assert np.array_equal(run(operation.inverse(), moved), array)
    assert operation.inverse().leaf(operation.leaf(array)) is array
    assert operation.inverse().inverse() == operation
    before, after = pattern.split(" -> ")
    flat = [name for name in before if name.isalpha()]
    order = [flat.index(name) for name in after if name.isalpha()]
    known = dict(sizes)
    for word, extent in zip(re.findall(r"\([^()]*\)|\S+", before), shape, strict=True):
        known.setdefault(word, extent)
    meant = array.reshape([known[name] for name in flat]).transpose(order)
    assert np.array_equal(moved.ravel(), meant.ravel())
    einops = pytest.importorskip("einops")
    assert np.array_equal(moved, einops.rearrange(array, pattern, **sizes))


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 3))
def test_rotary_and_regroup_are_cases_of_it(heads: int, half: int, columns: int) -> None:
    rows = np.arange(heads * 2 * half * columns).reshape(heads * 2 * half, columns)
    rotary = Rearrange("(h d two) c -> (h two d) c", h=heads, two=2)
    assert np.array_equal(run(rotary, rows), run(Rotary(heads), rows))
    assert Rotary(heads, to="pairs").leaf(rotary.leaf(rows)) is rows
    packed = np.arange(3 * heads * half * 2).reshape(3 * heads * half, 2)
    regroup = Rearrange("(three h d) c -> (h three d) c", three=3, h=heads)
    assert np.array_equal(run(regroup, packed), run(Regroup((1, 1, 1), heads), packed))


def test_the_latent_attention_of_deepseek_comes_apart_and_back() -> None:
    heads, nope, value, rank = 2, 3, 4, 5
    layout = Layout(
        "gguf-mla",
        [
            Row(
                "kv_b.weight",
                ("attn_k_b.weight", "attn_v_b.weight"),
                Chain(
                    Rearrange("(h x) r -> h x r", h="n_head"),
                    Split(("nope", "v"), axis=1),
                    Each(Rearrange("h x r -> h r x"), Rearrange("h x r -> h x r")),
                ),
            )
        ],
    )
    whole = np.random.default_rng(0).random((heads * (nope + value), rank))
    numbers = {"n_head": heads, "nope": nope, "v": value}
    there = to_layout({"kv_b.weight": whole}, layout, from_layout=layout.canonical, **numbers)
    k_b, v_b = (each.numpy() for each in there.values())
    by_head = whole.reshape(heads, nope + value, rank)
    assert np.array_equal(k_b, by_head[:, :nope].transpose(0, 2, 1))
    assert np.array_equal(v_b, by_head[:, nope:])
    back = to_layout(there, layout.canonical, from_layout=layout, **numbers)
    assert back["kv_b.weight"] is whole
    stored = {key: np.array(leaf) for key, leaf in there.items()}
    back = to_layout(stored, layout.canonical, from_layout=layout, **numbers)
    assert np.array_equal(back["kv_b.weight"].numpy(), whole)


class Blocks:
    dtype = DType("q8", "block", 34 * 8, 32)


@pytest.mark.parametrize(
    ("pattern", "sizes", "packed"),
    [
        ("(h two d) c -> (h d two) c", {"h": 2, "two": 2}, True),
        ("(h d) c -> h d c", {"h": 2}, True),
        ("a c -> 1 a c", {"c": 32}, True),
        ("a (b c) -> (a b) c", {"b": 1, "c": 32}, False),
        ("a c -> c a", {}, False),
    ],
)
def test_packed_blocks_stay_packed_where_rows_move(
    pattern: str, sizes: dict[str, int], packed: bool
) -> None:
    leaf = BlockTensor(Blocks(), np.arange(8 * 34, dtype="u1").reshape(8, 34), (8, 32))
    operation = Rearrange(pattern, **sizes)
    moved = operation.leaf(leaf)
    assert isinstance(moved, BlockTensor) is packed
    if packed:
        rows = np.arange(8 * 32).reshape(8, 32)
        assert spec(moved).shape == run(operation, rows).shape
        back = operation.inverse().leaf(moved)
        assert np.array_equal(as_array(Numpy(), back.raw), leaf.raw)


@pytest.mark.parametrize(
    ("pattern", "sizes", "said"),
    [
        ("a b", {}, "does not rearrange"),
        ("a -> b", {}, "does not rearrange"),
        ("a a -> a a", {}, "does not rearrange"),
        ("(a b c -> a b c", {}, "does not rearrange"),
        ("a ... -> ... a", {}, "does not rearrange"),
        ("a b -> b", {}, "does not rearrange"),
        ("2 b -> b 2", {}, "does not rearrange"),
        ("a b -> (a b)", {}, "pass a= or b="),
        ("(a b) -> a b", {}, "pass a= or b="),
        ("a b -> b a", {"c": 2}, "no axis c"),
        ("(a b) -> a b", {"a": 0}, "a=0"),
        ("(a b) -> a b", {"a": "2-x"}, "'2-x' is not a size"),
    ],
)
def test_a_pattern_that_cannot_be_undone_is_refused_when_it_is_built(
    pattern: str, sizes: dict[str, Any], said: str
) -> None:
    with pytest.raises(LayoutError, match=said):
        Rearrange(pattern, **sizes)


def test_a_shape_that_does_not_match_is_named_with_the_sizes() -> None:
    with pytest.raises(LayoutError, match=r"\(10, 4\) .*\(h two d\) c.* h=3, two=2"):
        Rearrange("(h two d) c -> (h d two) c", h=3, two=2).leaf(np.zeros((10, 4)))
    with pytest.raises(LayoutError, match=r"\(10,\) .* 2 axes"):
        Rearrange("a b -> b a").leaf(np.zeros(10))


def test_each_is_for_as_many_tensors_as_it_has_operations() -> None:
    turn = Rearrange("a b -> b a")
    with pytest.raises(LayoutError, match="one for each"):
        Each(turn)
    with pytest.raises(LayoutError, match="one for each"):
        Each(turn, Split((1, 1)))
    with pytest.raises(LayoutError, match="is for 2 tensors and is given 3"):
        Layout("mine", [Row(("a", "b", "c"), ("x", "y", "z"), Each(turn, turn))])
