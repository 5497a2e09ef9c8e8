"""Inputs that are made for two models: integers for an embedding, normal values for others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from caten_sd.errors import ModelError
from caten_sd.objects.owner import slots_of
from caten_sd.proof.live_layers import LiveModel
from caten_sd.state.leaf import spec_or_none

TIMES = (8, 4, 1)  # how many positions are tried
SIDES = (32, 64, 224)  # of an image, where the configuration does not say


class MadeInput(NamedTuple):
    """An array to run both models on, and what a report says of it."""

    array: Any
    said: str


def tokens(ids: Any) -> MadeInput:
    """Return one sequence of these token ids.

    >>> tokens([1, 2]).said
    'tokens 1, 2'
    """
    import numpy as np

    return MadeInput(np.array([ids], np.int64), f"tokens {', '.join(map(str, ids))}")


def made_inputs(a: LiveModel, b: LiveModel, seed: int) -> Iterator[MadeInput]:
    """Yield inputs to be tried in turn; ModelError if the first weight tells no shape."""
    import numpy as np

    random = np.random.default_rng(seed)
    cls, shape = _first_weight(a)
    if "embed" in cls.lower() and len(shape) == 2:
        rows = min(shape[0], _first_weight(b)[1][0])
        for time in TIMES:
            ids = random.integers(0, rows, (1, time), np.int64)
            yield MadeInput(ids, f"{time} random tokens of seed {seed}")
        return
    for wanted in _shapes(shape, getattr(a.model, "config", None)):
        values = random.standard_normal(wanted).astype("f4")
        yield MadeInput(values, f"normal values of shape {list(wanted)} and seed {seed}")


def _shapes(shape: tuple[int, ...], config: Any) -> Iterator[tuple[int, ...]]:
    """Yield shapes that a layer with a weight of this shape may take."""
    if len(shape) < 2:
        yield (2, *shape)
        yield (2, 5, *shape)
    elif len(shape) == 2:
        yield (2, shape[1])
        yield (2, 5, shape[1])
        yield (2, shape[0])
    else:
        side = getattr(config, "image_size", None)
        for each in (side,) if isinstance(side, int) else SIDES:
            yield (1, shape[1], *(each,) * (len(shape) - 2))


def _first_weight(live: LiveModel) -> tuple[str, tuple[int, ...]]:
    """Return the class and the largest weight's shape of the first layer with weights alone."""
    for owner in live.layers.values():
        values = [value for _, value, kind in slots_of(owner) or () if kind == "state"]
        known = [found for value in values if (found := spec_or_none(value)) is not None]
        if known and not any(slots_of(value) is not None for value in values):
            return type(owner).__name__, max((each.shape for each in known), key=len)
    raise ModelError(
        f"no layer of {live.side}, {type(live.model).__name__}, tells which inputs it takes; pass "
        f"them as inputs=, or --inputs FILE.npz"
    )
