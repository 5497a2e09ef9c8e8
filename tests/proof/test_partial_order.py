"""One tensor of which a part is in another order, while the rest stays as it is."""

import numpy as np
import pytest

from caten_sd import explain
from caten_sd.extend import Numpy, as_array
from caten_sd.layout import Chain, Concat, Each, Identity, Operation, Rearrange, Rotary, Split

NUMBERS = {"n_head": 4, "n_kv_head": 8, "key_dim": 6}
TURNED = Rearrange("(a b c) d -> (b a c) d", a="n_head", c="key_dim")
CASES: list[tuple[tuple[int, ...], Operation]] = [
    ((68, 5), Chain(Split((5, 12)), Each(Identity(), TURNED), Concat((5, 12)))),
    ((68, 5), Chain(Split((12, 5)), Each(TURNED, Identity()), Concat((12, 5)))),
    (
        (84, 5),
        Chain(Split((5, 16)), Each(Identity(), Rotary("n_head", to="pairs")), Concat((5, 16))),
    ),
    (
        (68, 1, 3),
        Chain(Rearrange("a 1 b -> a b"), Split((5, 12)), Each(Identity(), TURNED), Concat((5, 12))),
    ),
]


@pytest.mark.parametrize(("shape", "operation"), CASES)
def test_a_part_in_another_order_is_found(shape: tuple[int, ...], operation: Operation) -> None:
    given = np.random.default_rng(0).normal(size=shape).astype("f4")
    made = operation.bind(NUMBERS.__getitem__).apply({(): given})[()]
    found = explain({"a.w": given}, {"b.w": np.asarray(as_array(Numpy(), made))}, **NUMBERS)
    assert found.is_whole
    assert repr(found.rows[0].operation) == repr(operation)


def test_the_lengths_of_the_parts_have_the_names_of_heads() -> None:
    numbers = {"num_q_heads": 2, "q_head_dim": 9, "num_v_heads": 8, "v_head_dim": 5, "n_head": 4}
    given = np.random.default_rng(0).normal(size=(36 + 40, 3)).astype("f4")
    turned = given[36:].reshape(4, 2, 5, 3).transpose(1, 0, 2, 3).reshape(40, 3)
    found = explain({"w": given}, {"w": np.concatenate([given[:36], turned])}, **numbers)
    (row,) = found.rows
    assert repr(Split(("2*num_q_heads*q_head_dim", "num_v_heads*v_head_dim"))) in repr(row)
    assert repr(Rearrange("(a b c) d -> (b a c) d", a="n_head", c="v_head_dim")) in repr(row)


def test_rows_in_an_order_of_their_own_are_undecided() -> None:
    given = np.random.default_rng(0).normal(size=(64, 3)).astype("f4")
    mixed = np.concatenate([given[:20], np.random.default_rng(1).permutation(given[20:])])
    found = explain({"w": given}, {"x": mixed})
    assert (found.rows, [each.key for each in found.undecided]) == ([], ["w", "x"])
