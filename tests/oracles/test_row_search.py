"""What a converter did is found from values alone, whatever the names are."""

import numpy as np
import pytest

from caten_sd.extend import Numpy, as_array
from caten_sd.layout import (
    Chain,
    Concat,
    Each,
    Identity,
    NegExp,
    Offset,
    Operation,
    Rearrange,
    Regroup,
    Rotary,
    Split,
    Stack,
    Transpose,
    Trim,
)
from tests.oracles.row_search import search

NUMBERS = {
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "qk_nope_head_dim": 3,
    "v_head_dim": 5,
    "n_groups": 2,
}
LATENT = Chain(
    Rearrange("(h d) c -> h d c", h="num_attention_heads"),
    Split(("qk_nope_head_dim", "v_head_dim"), 1),
    Each(Rearrange("h d c -> h c d"), Rearrange("h d c -> h d c")),
)
INTERLEAVED = Chain(
    Transpose((0, 2, 1)), Rearrange("e (f two) d -> e (two f) d", two=2), Split((1, 1), 1)
)
CASES: list[tuple[Operation, list[tuple[int, ...]]]] = [
    (Identity(), [(8, 6)]),
    (Transpose(), [(8, 6)]),
    (Transpose((0, 2, 1)), [(4, 6, 8)]),
    (Rearrange("a 1 b -> a b"), [(8, 1, 3)]),
    (Rearrange("(g d) -> g d", g="n_groups"), [(8,)]),
    (Rotary("num_attention_heads", to="pairs"), [(16, 6)]),
    (Rotary("num_key_value_heads", to="pairs"), [(16, 6)]),
    (Regroup((1, 1, 1), "num_attention_heads", undo=True), [(48, 6)]),
    (
        Regroup(
            ("num_attention_heads", "num_key_value_heads", "num_key_value_heads"),
            "num_key_value_heads",
            undo=True,
        ),
        [(32, 6)],
    ),
    (Stack("e"), [(8, 6), (8, 6), (8, 6)]),
    (
        Concat(("num_attention_heads", "num_key_value_heads", "num_key_value_heads")),
        [(8, 6), (4, 6), (4, 6)],
    ),
    (Split((1, 1)), [(8, 6)]),
    (Split((1, 1), 1), [(4, 8, 6)]),
    (Chain(Transpose((0, 2, 1)), Split((1, 1), 1)), [(4, 6, 8)]),
    (INTERLEAVED, [(4, 6, 8)]),
    (LATENT, [(32, 6)]),
    (NegExp(), [(8,)]),
    (Chain(NegExp(), Rearrange("a -> a 1")), [(8,)]),
    (Offset(1.0), [(8,)]),
    (Trim(0, count=2, at="start"), [(12, 6)]),
]


def converted(
    operation: Operation, shapes: list[tuple[int, ...]]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return tensors of these shapes, and what an operation makes of them, under other names."""
    random = np.random.default_rng(0)
    given = {f"l.0.{n}.w": random.normal(size=each).astype("f4") for n, each in enumerate(shapes)}
    label = "e" if isinstance(operation, Stack) else "(position)"
    many = len(given) > 1
    operand = {((label, n),) if many else (): leaf for n, leaf in enumerate(given.values())}
    made = operation.bind(NUMBERS.__getitem__).apply(operand)
    leaves = [leaf for _, leaf in sorted(made.items())]
    return given, {
        f"b.0.x{n}": np.asarray(as_array(Numpy(), leaf)) for n, leaf in enumerate(leaves)
    }


@pytest.mark.parametrize(("operation", "shapes"), CASES, ids=lambda case: str(case)[:50])
def test_an_operation_is_found(operation: Operation, shapes: list[tuple[int, ...]]) -> None:
    canonical, here = converted(operation, shapes)
    found = search(canonical, here, NUMBERS)
    assert [(match.canonical, match.here) for match in found.found] == [
        (tuple(canonical), tuple(here))
    ]
    assert repr(found.found[0].operation) == repr(operation)


def test_what_nothing_gives_is_named() -> None:
    canonical, here = converted(Identity(), [(8, 6)])
    here["rope"] = np.arange(5, dtype="f4")
    canonical["extra"] = np.arange(7, dtype="f4")
    found = search(canonical, here, NUMBERS)
    assert (found.only_canonical, found.only_here) == (["extra"], ["rope"])


def test_equal_sums_are_not_enough() -> None:
    canonical, _ = converted(Identity(), [(8, 6)])
    mixed = np.random.default_rng(1).permuted(canonical["l.0.0.w"].ravel()).reshape(8, 6)
    assert not search(canonical, {"b.0.x": mixed}, NUMBERS).found
