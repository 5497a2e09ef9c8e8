"""Groups of queries, keys and values in one tensor, of which another has several one by one."""

import numpy as np

from caten_sd import explain
from caten_sd.layout import Chain, Regroup, Split

NUMBERS = {"num_k_heads": 5, "k_head_dim": 9, "num_v_heads": 10, "v_head_dim": 7}
KEY, VALUE = "num_k_heads*k_head_dim", "num_v_heads*v_head_dim"
LENGTHS = (9, 9, 14, 14)


def grouped() -> tuple[np.ndarray, list[np.ndarray]]:
    """Return a tensor of 5 groups, and its queries, keys, values and gates."""
    given = np.random.default_rng(0).normal(size=(5, sum(LENGTHS), 3)).astype("f4")
    parts = np.split(given, np.cumsum(LENGTHS)[:-1], axis=1)
    return given.reshape(-1, 3), [part.reshape(-1, 3) for part in parts]


def test_several_parts_in_one_tensor_are_found_and_named() -> None:
    given, (q, k, v, z) = grouped()
    found = explain({"l.qkvz": given}, {"b.qkv": np.concatenate([q, k, v]), "b.z": z}, **NUMBERS)
    order = Regroup((KEY, KEY, VALUE, VALUE), "num_k_heads", undo=True)
    assert found.is_whole
    assert repr(found.rows[0].operation) == repr(Chain(order, Split((f"2*{KEY}+{VALUE}", VALUE))))


def test_parts_that_do_not_follow_each_other_are_undecided() -> None:
    given, (q, k, v, z) = grouped()
    found = explain({"w": given}, {"x": np.concatenate([q, v]), "y": np.concatenate([k, z])})
    assert not found.rows
    assert {each.key for each in found.undecided} == {"w", "x", "y"}
