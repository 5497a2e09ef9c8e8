"""The operations that could lead from tensors of some shapes to others, the simplest first.

They have the named numbers of a model, such as its heads. Which of them it is, the values tell.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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
    Transpose,
)

Numbers = Mapping[str, int]
HEADS = ("num_attention_heads", "n_head", "num_heads", "encoder_attention_heads")
KV_HEADS = ("num_key_value_heads", "num_kv_heads")


def arrangements(
    before: tuple[int, ...], after: tuple[int, ...], numbers: Numbers
) -> Iterator[Operation]:
    """Yield operations on one tensor that give this shape from that, the simplest first."""
    if before == after:
        yield Identity()
        yield from _row_orders(before, numbers)
    if [n for n in before if n != 1] == [n for n in after if n != 1] and before != after:
        yield Rearrange(f"{_letters(before)} -> {_letters(after)}")
    yield from _turns(before, after)
    if len(before) == 1 and len(after) == 2 and math.prod(after) == before[0]:
        names = [name for name, number in numbers.items() if number == after[0]]
        groups = next((name for name in names if "group" in name), after[0])
        yield Rearrange("(g d) -> g d", g=groups)
    if len(before) == 3 and tuple(n for n in before if n != 1) == after:
        squeeze = Rearrange(f"{_letters(before)} -> {_letters(after)}")
        yield from (Chain(squeeze, order) for order in _gated_delta_orders(numbers))


def _turns(before: tuple[int, ...], after: tuple[int, ...]) -> Iterator[Operation]:
    """Yield the orders of axes that give a shape."""
    if len(before) == 2 and before[::-1] == after:
        yield Transpose()
    for axes in itertools.permutations(range(3)):
        if len(before) == 3 and tuple(before[axis] for axis in axes) == after:
            yield Transpose(axes)


def _row_orders(shape: tuple[int, ...], numbers: Numbers) -> Iterator[Operation]:
    heads, kv_heads = _named(numbers, HEADS), _named(numbers, KV_HEADS)
    for name in [each for each in (heads, kv_heads) if each]:
        if shape and shape[0] % (2 * numbers[name]) == 0:
            yield Rotary(name, to="pairs")
    if heads:
        yield Regroup((1, 1, 1), heads, undo=True)
    if heads and kv_heads:
        yield Regroup((heads, kv_heads, kv_heads), kv_heads, undo=True)
    yield from _gated_delta_orders(numbers, len(shape))


def _gated_delta_orders(numbers: Numbers, rank: int = 2) -> Iterator[Operation]:
    """Yield the orders of value heads in models with a gated delta rule."""
    keys, values = "linear_num_key_heads", "linear_num_value_heads"
    if keys not in numbers or values not in numbers:
        return
    rest = "" if rank == 1 else " c"
    per_head = "linear_value_head_dim"
    yield Rearrange(f"(k r){rest} -> (r k){rest}", k=keys)
    yield Rearrange(f"(k r d){rest} -> (r k d){rest}", k=keys, d=per_head)
    if rank == 2:
        yield Rearrange("c (k r d) -> c (r k d)", k=keys, d=per_head)
        key, value = f"{keys}*linear_key_head_dim", f"{values}*linear_value_head_dim"
        turn = Rearrange("(k r d) c -> (r k d) c", k=keys, d=per_head)
        shares = (key, key, value)
        yield Chain(Split(shares), Each(Identity(), Identity(), turn), Concat(shares))


def splits(
    before: tuple[int, ...], after: Sequence[tuple[int, ...]], numbers: Numbers
) -> list[Operation]:
    """Return operations that cut one tensor into several, the simplest first."""
    found: list[Operation] = []
    count = len(after)
    if all(len(shape) == len(before) for shape in after):
        for axis in range(len(before)):
            lengths = [shape[axis] for shape in after]
            found.append(Split(_shares(lengths, numbers), axis))
        if len(before) == 3 and count == 2:
            turned = Transpose((0, 2, 1))
            found.append(Chain(turned, Split((1, 1), 1)))
            pairs = Rearrange("e (f two) d -> e (two f) d", two=2)
            found.append(Chain(turned, pairs, Split((1, 1), 1)))
        if len(before) == 2 and count == 2:
            found.append(Chain(Rearrange("e (f two) -> e (two f)", two=2), Split((1, 1), 1)))
            found.extend(_by_groups(after, numbers))
    heads = _named(numbers, HEADS)
    if len(before) == 2 and count == 2 and heads and "qk_nope_head_dim" in numbers:
        parts = Rearrange("(h d) c -> h d c", h=heads)
        cut = Split(("qk_nope_head_dim", "v_head_dim"), 1)
        turns = Each(Rearrange("h d c -> h c d"), Rearrange("h d c -> h d c"))
        found.append(Chain(parts, cut, turns))
    return found


def _by_groups(after: Sequence[tuple[int, ...]], numbers: Numbers) -> Iterator[Operation]:
    keys, values = "linear_num_key_heads", "linear_num_value_heads"
    if keys in numbers and values in numbers:
        key = f"{keys}*linear_key_head_dim"
        value = f"{values}*linear_value_head_dim"
        blocks = Regroup((key, key, value, value), keys, undo=True)
        yield Chain(blocks, Split((f"2*{key}+{value}", value), 0))
        yield Chain(Regroup((1, 1), keys, undo=True), Split((1, 1), 0))


def joins(shapes: Sequence[tuple[int, ...]], numbers: Numbers) -> Iterator[Operation]:
    """Yield operations that make several tensors one."""
    for axis in range(len(shapes[0])):
        yield Concat(_shares([shape[axis] for shape in shapes], numbers), axis)


def _shares(lengths: Sequence[int], numbers: Numbers) -> tuple[Any, ...]:
    heads, kv_heads = _named(numbers, HEADS), _named(numbers, KV_HEADS)
    if heads and kv_heads and len(set(lengths)) > 1:
        unit = lengths[0] / numbers[heads]
        names = {numbers[heads] * unit: heads, numbers[kv_heads] * unit: kv_heads}
        if all(length in names for length in lengths):
            return tuple(names[length] for length in lengths)
    return _reduced(lengths)


def _reduced(lengths: Sequence[int]) -> tuple[int, ...]:
    common = math.gcd(*lengths)
    return tuple(length // common for length in lengths)


def _named(numbers: Numbers, words: Sequence[str]) -> str:
    return next((word for word in words if word in numbers), "")


def _letters(shape: tuple[int, ...]) -> str:
    letters = iter("abcdef")
    return " ".join("1" if n == 1 else next(letters) for n in shape)
