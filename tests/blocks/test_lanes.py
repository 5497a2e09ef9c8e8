"""Bit operations on many blocks, each against numpy's plain spelling."""

from __future__ import annotations

import numpy as np
import pytest

from caten_sd.blocks import lanes

BLOCKS = np.random.default_rng(0).integers(0, 256, (5, 40), np.uint8)


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16, 5, 24])
def test_a_field_is_a_contiguous_column(size: int) -> None:
    found = lanes.field(BLOCKS, 3, size)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, BLOCKS[:, 3 : 3 + size])


def test_halves_are_little_endian_floats() -> None:
    blocks = np.zeros((2, 4), np.uint8)
    blocks[:, 2:] = np.array([[1.5], [-2]], "<f2").view(np.uint8)
    np.testing.assert_array_equal(lanes.halves(blocks, 2), np.array([[1.5], [-2]], np.float32))


@pytest.mark.parametrize(
    ("at", "width", "to"), [(0, 4, 0), (4, 4, 0), (6, 2, 0), (2, 2, 4), (0, 2, 4), (7, 1, 2)]
)
def test_bits_move_within_their_byte(at: int, width: int, to: int) -> None:
    expected = (BLOCKS >> at & (1 << width) - 1) << to
    np.testing.assert_array_equal(lanes.bits(BLOCKS, at, width, to), expected)


def test_either_writes_into_the_first() -> None:
    one, other = BLOCKS[:2].copy(), BLOCKS[2:4].copy()
    expected = one | other
    assert lanes.either(one, other) is one
    np.testing.assert_array_equal(one, expected)


def test_arrays_are_joined_row_by_row() -> None:
    arrays = [BLOCKS[:, :8].copy(), BLOCKS[:, 8:16].copy(), BLOCKS[:, 16:24].copy()]
    np.testing.assert_array_equal(lanes.interleave(arrays), BLOCKS[:, :24])


def test_a_scale_and_an_offset_belong_to_a_group() -> None:
    values = np.arange(-8, 8, dtype=np.int8).reshape(2, 8)
    scales, offsets = np.array([[1, 2], [3, 4]], "f4"), np.array([[5, 6], [7, 8]], "f4")
    out = np.empty((2, 8), np.float32)
    lanes.scale(out, values, scales, offsets)
    expected = values * scales.repeat(4, axis=1) + offsets.repeat(4, axis=1)
    np.testing.assert_array_equal(out, expected)
    lanes.scale(out, values, scales)
    np.testing.assert_array_equal(out, values * scales.repeat(4, axis=1))


def test_products_are_a_float_times_small_integers() -> None:
    floats, numbers = np.array([[0.5], [2]], "f4"), np.array([[1, 2], [3, 4]], np.uint8)
    np.testing.assert_array_equal(lanes.products(floats, numbers), [[0.5, 1], [6, 8]])


def test_nibbles_are_the_low_ones_and_then_the_high_ones() -> None:
    values = tuple(range(-8, 8))
    packed = np.array([[0x10, 0xF2]], np.uint8)
    np.testing.assert_array_equal(lanes.nibbles(packed, values), [[-8, -6, -7, 7]])
