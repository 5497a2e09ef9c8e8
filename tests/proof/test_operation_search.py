"""The operation between equal contents: found, named, and right when it is applied."""

from typing import Any

import numpy as np
import pytest

from caten_sd.layout import (
    Chain,
    Concat,
    Each,
    Identity,
    Operation,
    Rearrange,
    Regroup,
    Rotary,
    Split,
    Stack,
    Transpose,
    Unstack,
    packing,
)
from caten_sd.mapping.assembly import MOST
from caten_sd.proof.named_sizes import NamedSizes
from caten_sd.proof.operation_search import between
from caten_sd.proof.weights import Bearer, SameValues, Weights
from caten_sd.state.state_dict import StateDict

NAMES = NamedSizes({"n_head": 4, "n_kv_head": 2, "head_dim": 16, "n_expert": 8, "rank": 24})
AXES = "abcdefghijklmnopqrstuvwxyz"
GROUPED = ("n_head", "n_kv_head", "n_kv_head")

ALONE: list[tuple[tuple[int, ...], Operation]] = [
    ((64, 48), Identity()),
    ((64, 48), Transpose()),
    ((3, 4, 5, 6), Transpose((3, 2, 0, 1))),
    ((32, 1, 4), Rearrange("a 1 b -> a b")),
    ((8,), Rearrange("a -> 1 1 a")),
    ((64, 48), Rotary("n_head")),
    ((64, 48), Rotary("n_head", to="pairs")),
    ((32,), Rotary("n_kv_head")),
    ((48, 64), Rotary("n_head", axis=1)),
    ((192, 48), packing("per_head")),
    ((192, 48), packing("per_head").inverse()),
    ((128, 48), packing("per_kv_group")),
    ((128,), packing("per_kv_group").inverse()),
    ((64, 24), Rearrange("(a b) c -> a c b", a="n_head")),
    ((64, 24), Rearrange("(a two c) d -> d (a c two)", a="n_head", two=2)),
    ((4, 16, 24), Rearrange("a b c -> (a b) c", a="n_head")),
]
DIVIDED: list[tuple[tuple[int, ...], Operation]] = [
    ((96, 48), Split((1, 1, 1))),
    ((48, 96), Split((1, 1), 1)),
    ((128, 48), Split(GROUPED)),
    ((128, 48), Chain(Regroup(GROUPED, "n_kv_head", undo=True), Split(GROUPED))),
    ((192,), Chain(Regroup((1, 1, 1), "n_head", undo=True), Split((1, 1, 1)))),
    ((48, 96), Chain(Split((1, 1, 1), 1), Transpose())),
    (
        (96, 24),
        Chain(
            Rearrange("(a b) c -> a b c", a="n_head"),
            Split((3, 1), 1),
            Each(Transpose((0, 2, 1)), Identity()),
        ),
    ),
    (
        (128, 48),
        Chain(Split(GROUPED), Each(Rotary("n_head", to="pairs"), Rotary("n_kv_head"), Identity())),
    ),
    (
        (60, 8),
        Chain(
            Rearrange("(a b) c -> a b c", b=2),
            Split((1, 1), 1),
            Rearrange("a 1 b -> a b"),
        ),
    ),
    (
        (*[1] * 26, 60),  # more axes than there are letters
        Chain(
            Rearrange(f"{' '.join(AXES)} (a1 b1) -> {' '.join(AXES)} a1 b1", b1=2),
            Split((1, 1), 27),
            Rearrange(f"{'1 ' * 26}a 1 -> {'1 ' * 26}a"),
        ),
    ),
]
STACKED: list[tuple[tuple[int, ...], Operation]] = [
    ((8, 5, 6), Unstack("e")),
    ((5, 6, 8), Unstack("e", 2)),
    ((8, 5, 6), Chain(Transpose((0, 2, 1)), Unstack("e"))),
    ((40, 6), Chain(Rearrange("(a b) c -> a b c", a="n_expert"), Unstack("e"))),
]


def numbered(shape: tuple[int, ...], repeated: bool) -> Any:
    random = np.random.default_rng(0)
    values = random.standard_normal(shape).astype(np.float32)
    return (values * 30).round() / 30 if repeated else values


def found(operation: Operation, shape: tuple[int, ...], repeated: bool, turned: bool) -> Operation:
    """Return the operation that is found where this one made B of A, or A of B if turned."""
    array = numbered(shape, repeated)
    bound = operation.bind(lambda name: NAMES.numbers[name])
    made = {
        at: leaf.numpy() if hasattr(leaf, "numpy") else leaf
        for at, leaf in bound.apply({(): array}).items()
    }
    keys = {
        f"b.{dict(at).get('e', 0)}.{dict(at).get('(position)', 0)}": x for at, x in made.items()
    }
    stacked = any(dict(at).get("e") for at in made)
    holders = (
        (Bearer(tuple(keys), 0),) if stacked else tuple(Bearer((key,)) for key in reversed(keys))
    )
    match = SameValues((Bearer(("a",)),), holders, "float32")
    sides = Weights(StateDict({"a": array})), Weights(StateDict(keys))
    if turned:
        result = between(match.turned(), sides[1], sides[0], NAMES)
    else:
        result = between(match, *sides, NAMES)
    assert result is not None
    return result.operation


@pytest.mark.parametrize("repeated", [False, True], ids=["", "values repeat"])
@pytest.mark.parametrize(("shape", "operation"), [*ALONE, *DIVIDED, *STACKED], ids=repr)
def test_the_operation_is_found_and_named(
    shape: tuple[int, ...], operation: Operation, repeated: bool
) -> None:
    assert found(operation, shape, repeated, turned=False) == operation
    turned = found(operation, shape, repeated, turned=True)
    if isinstance(turned, (Chain, Split, Stack, Concat)):
        assert turned == operation.inverse()
    lookup = NAMES.numbers.__getitem__
    array = numbered(shape, repeated)
    there = operation.bind(lookup).apply({(): array})
    (back,) = turned.bind(lookup).apply(there).values()
    assert (np.asarray(back) == array).all()


@pytest.mark.parametrize("shape", [(64, 48), (MOST + 8,)])
def test_an_order_that_the_algebra_does_not_have_gives_none(shape: tuple[int, ...]) -> None:
    """An axis may be longer than one whose order is listed."""
    array = numbered(shape, False)
    mixed = np.random.default_rng(1).permutation(array)
    match = SameValues((Bearer(("a",)),), (Bearer(("b",)),), "float32")
    sides = Weights(StateDict({"a": array})), Weights(StateDict({"b": mixed}))
    assert between(match, *sides, NAMES) is None
