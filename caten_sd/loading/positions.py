"""Find embeddings of positions that the file has for another number of positions."""

from __future__ import annotations

import math
import re

from caten_sd.loading.misfit import Case, Shape
from caten_sd.loading.report import LoadRow, Outcome

_POSITIONS = re.compile(
    r"(?<![a-z])(?:pos|position|positions|positional|wpe)(?:_?(?:emb|enc)|(?![a-z]))", re.IGNORECASE
)
MOST_EXTRA = 2  # tokens beside those of a grid: one for the class, one of a teacher


def positions(case: Case) -> tuple[str, str] | None:
    """Return how many positions file and model have, and with what the model is to be constructed.

    Two-dimensional ones among other tables are a matter of rows.
    """
    found = [(row.key, sizes) for row in case.of(Outcome.SHAPE) if (sizes := _sizes(row))]
    if not found:
        return None
    key, (file, model) = found[0]
    more = f" (and {len(found) - 1} more such)" if len(found) > 1 else ""
    text = f"{key}{more} has {_by(file)} positions in the file and {_by(model)} in the model"
    grids = _grids(math.prod(file), math.prod(model)) if len(file) == 1 else ""
    return f"{text}{grids}", f"{_by(file)} positions, or resample {key} by on_mismatch"


def _sizes(row: LoadRow) -> tuple[Shape, Shape] | None:
    """Return the axes in which an embedding of positions differs: one, or two of a plane."""
    if row.leaf is None or row.slot is None or not _POSITIONS.search(row.key):
        return None
    file, model = ([size for size in each.shape if size != 1] for each in (row.leaf, row.slot))
    if len(file) != len(model):
        return None
    axes = [at for at, size in enumerate(file) if size != model[at]]
    if len(axes) == 2 and len(file) > 2 and axes[1] == axes[0] + 1:
        return tuple(file[at] for at in axes), tuple(model[at] for at in axes)
    return ((file[axes[0]],), (model[axes[0]],)) if len(axes) == 1 else None


def _by(sizes: Shape) -> str:
    return " x ".join(map(str, sizes))


def _grids(file: int, model: int) -> str:
    """Return the grids that both may be, with as many extra positions in each.

    >>> _grids(577, 197), _grids(32, 20)
    (', as grids of 24 x 24 and 14 x 14 with 1 more', '')
    """
    for extra in range(min(MOST_EXTRA + 1, file, model)):
        sides = math.isqrt(file - extra), math.isqrt(model - extra)
        if sides[0] ** 2 == file - extra and sides[1] ** 2 == model - extra:
            grids = " and ".join(f"{side} x {side}" for side in sides)
            return f", as grids of {grids}{f' with {extra} more' if extra else ''}"
    return ""
