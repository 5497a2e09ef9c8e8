"""The rows of a sheet that list leaves: a key with the shape, dtype and size of its tensor."""

from __future__ import annotations

from caten_sd.errors.printable import printable
from caten_sd.state.leaf import Spec
from caten_sd.state.sheet_groups import SheetRow


def leaf_row(key: str, known: Spec, tie: str | None = None) -> SheetRow:
    """Return the row of a tensor; the bytes of one that is tied to another key count there."""
    data = {"shape": known.shape, "dtype": known.dtype.name, "bytes": known.nbytes}
    detail = f"{list(known.shape)} {known.dtype}"
    if tie is None:
        return SheetRow(key, detail, known.shape, size=known.nbytes, data=lambda: data)
    detail += f"; tied to {printable(tie)}"
    return SheetRow(key, detail, known.shape, data=lambda: {**data, "tied_to": tie})
