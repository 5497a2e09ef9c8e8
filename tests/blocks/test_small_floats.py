"""The numbers of the MX formats, against ml_dtypes."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from caten_sd.blocks.small_floats import e2m1, e8m0, times_groups


def test_every_byte_is_the_two_numbers_of_ml_dtypes() -> None:
    byte = np.arange(256, dtype="u1")
    nibbles = np.stack([byte & 15, byte >> 4], axis=1).reshape(-1)
    expected = nibbles.view(ml_dtypes.float4_e2m1fn).astype("f4")
    assert np.array_equal(e2m1(byte), expected)
    assert np.array_equal(np.signbit(e2m1(byte)), np.signbit(expected))


def test_every_exponent_is_the_one_of_ml_dtypes() -> None:
    byte = np.arange(256, dtype="u1")
    expected = byte.view(ml_dtypes.float8_e8m0fnu).astype("f4")
    assert np.array_equal(e8m0(byte), expected, equal_nan=True)


def test_a_group_has_its_own_scale() -> None:
    scales = np.array([[1, 2], [3, 4]], "f4")
    assert times_groups(np.ones((2, 4), "f4"), scales).tolist() == [[1, 1, 2, 2], [3, 3, 4, 4]]
