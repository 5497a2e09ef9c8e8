"""The fill value of an array is one that its dtype has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import caten_sd as sd
from caten_sd.formats.orbax.fill_values import fill_value
from caten_sd.formats.orbax.zarr_arrays import ZarrArray
from caten_sd.state.dtype import DTYPES


def filled_with(fill: Any, dtype: str = "float32") -> Any:
    array = ZarrArray("a", (2,), DTYPES[dtype], "<", (2,), (), fill, "", ".")
    return fill_value(array, np.dtype(dtype)).item()


@pytest.mark.parametrize("fill", [{}, "x", [1, 2], 1 << 2000, "0xzz"])
def test_a_fill_value_that_cannot_be_is_refused(fill: Any) -> None:
    with pytest.raises(sd.FormatError, match="fill value"):
        filled_with(fill)


@pytest.mark.parametrize(
    ("fill", "dtype"), [(300, "uint8"), (-1, "uint8"), (1.5, "int32"), (1 << 40, "int32")]
)
def test_a_fill_value_that_a_cast_would_change_is_refused(fill: Any, dtype: str) -> None:
    with pytest.raises(sd.FormatError, match="fill value"):
        filled_with(fill, dtype)


@pytest.mark.parametrize(
    ("fill", "dtype", "value"), [(255, "uint8", 255), (-1, "int8", -1), (1, "float32", 1.0)]
)
def test_a_number_of_the_dtype_is_the_fill_value(fill: Any, dtype: str, value: Any) -> None:
    assert filled_with(fill, dtype) == value
