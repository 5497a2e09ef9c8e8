"""Keys that are alike but for their numbers, and what all of them begin with."""

from __future__ import annotations

import numpy as np
import pytest

from caten_sd.mapping.key_kinds import MAX_PREFIX, KeyKinds, arranged, common_prefixes
from caten_sd.mapping.reading import items_of
from caten_sd.state.state_dict import StateDict
from tests.state.test_packed_weights import UNITS


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([], []),
        (["w"], []),
        (["a.w", "w"], []),
        (["a.w", "ab.w"], []),
        (["a", "a.w"], []),
        (["a.b.w", "a.c.w"], ["a."]),
        (["net.0.w", "net.0.b"], ["net."]),  # a number counts models
        (["0.w"], []),
        (["a2.w", "a2.b"], ["a2."]),
        (["x." * 20 + "w"], ["x." * n for n in range(1, MAX_PREFIX + 1)]),
    ],
)
def test_what_all_keys_begin_with(keys: list[str], expected: list[str]) -> None:
    assert common_prefixes(keys) == expected


def described(kinds: KeyKinds) -> tuple[object, ...]:
    numbers = [kinds.numbers(at) for at in range(len(kinds.items))]
    keys = [(item.key, item.origin, id(item.leaf)) for item in kinds.items]
    return kinds.templates, numbers, keys if kinds.members == {} else kinds.members


@pytest.mark.parametrize("prefix", ["model.", "net2.7b.", "a.b."])
@pytest.mark.parametrize("unit", ["gptq", "deepseek"])
def test_without_a_prefix_they_are_as_if_no_key_had_it(prefix: str, unit: str) -> None:
    plain = {f"h.{i}.{key}": leaf for i in range(2) for key, leaf in UNITS[unit].items()}
    plain |= {"h.10.norm3.w": np.zeros(2), "w": np.zeros(1)}
    given = arranged(items_of(StateDict({prefix + key: leaf for key, leaf in plain.items()})))
    found, expected = given.without(prefix), arranged(items_of(StateDict(plain)))
    assert found.scales == expected.scales
    assert described(found.joined) == described(expected.joined)
    assert described(found.alone) == described(expected.alone)
