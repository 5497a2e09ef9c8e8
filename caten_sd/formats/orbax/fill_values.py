"""The values of a chunk that is not stored: each is the fill value of its array."""

from __future__ import annotations

import base64
from typing import Any

from caten_sd.errors import FormatError
from caten_sd.errors.printable import one_line
from caten_sd.formats.orbax.zarr_arrays import ZarrArray


def filled(array: ZarrArray, sizes: tuple[int, ...], stored: Any) -> Any:
    """Return a chunk of the fill value, or of zeros where none is named; it takes no memory."""
    import numpy as np

    return np.broadcast_to(fill_value(array, stored), sizes)


def fill_value(array: ZarrArray, stored: Any) -> Any:
    """Return the fill value as an array without axes; FormatError for one that cannot be."""
    import numpy as np

    try:
        with np.errstate(all="ignore"):
            return _value(array, stored).reshape(())
    except (ValueError, TypeError, OverflowError):
        raise FormatError(
            array.name,
            f"its fill value {one_line(array.fill, 60)} is not one of {array.dtype}",
            "it is damaged, so get it again",
        ) from None


def _value(array: ZarrArray, stored: Any) -> Any:
    import numpy as np

    said = array.fill
    if said is None:
        return np.zeros((), stored)
    if isinstance(said, str) and said.startswith("0x"):  # zarr 3: the bits of a float
        return np.frombuffer(int(said, 16).to_bytes(stored.itemsize, "little"), stored)
    if isinstance(said, list) and array.dtype.kind == "complex":
        said = complex(*(float(part) for part in said))
    elif said in ("NaN", "Infinity", "-Infinity"):
        said = float(said)
    elif isinstance(said, str):  # zarr 2: the bytes of an element
        return np.frombuffer(base64.b64decode(said, validate=True), stored)
    value = np.array(said).astype(stored)
    if array.dtype.kind in ("int", "uint") and value.tolist() != said:
        raise ValueError("a cast would change it")
    return value
