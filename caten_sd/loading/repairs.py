"""Repairs of a slot that the file does not fit: pad it, trim it, fill it, or leave it alone.

Each is a value for ``on_mismatch``. It is called with the file's array (None if the file has none)
and the model's, and returns an array of the model's shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from caten_sd.errors import LoadError
from caten_sd.state.dtype import numpy_dtype
from caten_sd.state.leaf import Numpy, as_array, spec


def pad_rows(init: float | str = "model") -> PadRows:
    """Add rows to an array of the file that has too few, for an embedding of a larger vocabulary.

    The new rows are a number, the "mean" of the file's rows, or those of the "model".

    >>> import numpy
    >>> pad_rows(0.5)(numpy.ones((1, 2)), numpy.zeros((2, 2))).tolist()
    [[1.0, 1.0], [0.5, 0.5]]
    """
    if isinstance(init, str) and init not in ("model", "mean"):
        raise LoadError(f'pad_rows takes a number, "mean" or "model", not {init!r}')
    return PadRows(init)


def trim_rows() -> TrimRows:
    """Leave out the last rows of an array of the file that has too many.

    >>> import numpy
    >>> trim_rows()(numpy.arange(3), numpy.zeros(2)).tolist()
    [0, 1]
    """
    return TrimRows()


def fill(value: Any) -> Fill:
    """Fill the slot with a number, an array, or the result of a function of the model's array.

    This works for a slot that the file does not have, too.
    """
    return Fill(value)


@attrs.frozen
class Skip:
    """Leave the slot as it is in the model; ``skip`` is the only instance."""

    def __call__(self, value: Any, place: Any) -> Any:
        """Return nothing to load."""
        return None

    def __str__(self) -> str:
        return "skip"


skip = Skip()


@attrs.frozen
class PadRows:
    """What ``pad_rows`` returns."""

    init: float | str

    def __call__(self, value: Any, place: Any) -> Any:
        """Return the file's rows, followed by those that it lacks."""
        import numpy as np

        rows = _rows(value, place, self, 1, "adds rows to an array that has fewer than the model's")
        if self.init == "model":
            if not spec(place).has_values:
                raise LoadError(f'{self}: the model is on the meta device and has no rows: give a '
                                f'number or "mean"')  # fmt: skip
            more = as_array(Numpy(), place)[len(rows) :].astype(rows.dtype)
        else:
            mean = self.init == "mean"
            row = rows.mean(axis=0, dtype=np.float64) if mean else np.float64(self.init)
            missing = spec(place).shape[0] - len(rows)
            more = np.broadcast_to(row, (missing, *rows.shape[1:])).astype(rows.dtype)
        return np.concatenate([rows, more])

    def __str__(self) -> str:
        return f"pad_rows({self.init!r})"


@attrs.frozen
class TrimRows:
    """What ``trim_rows`` returns."""

    def __call__(self, value: Any, place: Any) -> Any:
        """Return the first rows."""
        rows = _rows(
            value, place, self, -1, "takes rows from an array that has more than the model's"
        )
        return rows[: spec(place).shape[0]]

    def __str__(self) -> str:
        return "trim_rows()"


@attrs.frozen
class Fill:
    """What ``fill`` returns."""

    value: float | Callable[[Any], Any] | Any

    def __call__(self, value: Any, place: Any) -> Any:
        """Return the filling, whatever the file has."""
        import numpy as np

        if callable(self.value):
            return self.value(place)
        known = spec(place)
        try:
            return np.full(known.shape, _host(self.value), numpy_dtype(known.dtype))
        except ValueError as error:
            raise LoadError(f"{self} does not fit {list(known.shape)} ({error})") from error

    def __str__(self) -> str:
        text = repr(self.value)
        return f"fill({text})" if len(text) < 40 else f"fill({type(self.value).__name__})"


def _host(value: Any) -> Any:
    return value if isinstance(value, (int, float, complex)) else as_array(Numpy(), value)


def _rows(value: Any, place: Any, repair: object, sign: int, does: str) -> Any:
    """Return the file's array; LoadError if more than its number of rows differs."""
    wanted = spec(place).shape
    if value is None:
        raise LoadError(f"{repair} needs an array of the file, which has none: use fill(value)")
    shape = spec(value).shape
    same = len(shape) == len(wanted) > 0 and shape[1:] == wanted[1:]
    if not same or (wanted[0] - shape[0]) * sign <= 0:
        raise LoadError(
            f"{repair} {does}, but here the file has {list(shape)} and the model {list(wanted)}"
        )
    return as_array(Numpy(), value)
