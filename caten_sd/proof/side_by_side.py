"""Two live models on one input, one after the other: how far apart each layer is, in few bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from caten_sd.errors import ModelError
from caten_sd.proof.live_layers import LayerPair, LiveModel, SameWeights
from caten_sd.proof.model_runs import OUTPUT, Inputs, run
from caten_sd.proof.parting import LayerGap, compared, first_parting
from caten_sd.proof.projection import Projection

KEPT = 1 << 28  # bytes of what A's layers take and give; the rest is projected
_SMALL = 1 << 12  # bytes that no projection makes fewer


class Moment(NamedTuple):
    """An input or output of a layer, by its path in A, and which of its calls it belongs to."""

    path: str
    moment: str
    number: int


class SideBySide:
    """Two models that are run on one input as often as it takes.

    What A's layers take and give is kept until B is run, up to ``KEPT`` bytes. Of what is more,
    only projections are kept, and the first place where these differ is looked at in a second run.
    """

    def __init__(
        self,
        a: LiveModel,
        b: LiveModel,
        pairs: Sequence[LayerPair],
        weights: SameWeights,
        inputs: Inputs,
    ) -> None:
        self._a, self._b, self._inputs = a, b, inputs
        self._own = {"", *(a.above(key)[-1] for key in weights.leaves)}  # of weights, or the whole
        self._by_a, self._by_b = ({getattr(each, side): each for each in pairs} for side in "ab")

    def compared(self, tolerance: float | None) -> list[LayerGap]:
        """Return how far each layer is apart, in the order of A, and exactly where they part.

        A model that does something else in its second run is known by the first one alone.
        """
        found = self._passed()
        places = list(found)
        while True:
            gaps = list(found.values())
            at = first_parting(gaps, tolerance)
            if at is None or gaps[at].largest is not None:
                return gaps
            if not (exactly := self._again(places[at])):
                return gaps
            found |= exactly

    def _again(self, at: Moment) -> dict[Moment, LayerGap]:
        """Run both again for one moment; {} where they fail or do not come there this time."""
        with contextlib.suppress(ModelError):
            return self._passed([at])
        return {}

    def _passed(self, only: Collection[Moment] | None = None) -> dict[Moment, LayerGap]:
        """Run both, and return how far apart all moments are, or only these, then exactly."""
        meetings = _Meetings(self._own, only)
        a, b = self._by_a, self._by_b
        run(self._a, self._inputs, [*a], lambda path, *told: meetings.keep(a[path], *told))
        meetings.counts.clear()
        run(self._b, self._inputs, [*b], lambda path, *told: meetings.compare(b[path], *told))
        return {at: each for at in meetings.kept if (each := meetings.found.get(at)) is not None}


class _Meetings:
    """What the layers of A take and give, until those of B do."""

    def __init__(self, own: Collection[str], only: Collection[Moment] | None) -> None:
        self._own, self._only, self._room = own, only, KEPT
        self.kept: dict[Moment, Any] = {}
        self.found: dict[Moment, LayerGap | None] = {}
        self.counts: dict[tuple[str, str], int] = {}

    def keep(self, pair: LayerPair, moment: str, array: Any) -> None:
        """Keep an array of A, or a projection of it."""
        at = self._place(pair, moment)
        if at is None:
            return
        is_whole = self._only is not None or array.nbytes <= max(self._room, _SMALL)
        self.kept[at] = array if is_whole else Projection(array)
        self._room -= array.nbytes if is_whole else 0

    def compare(self, pair: LayerPair, moment: str, array: Any) -> None:
        """Compare an array of B with what was kept, which is let go."""
        at = self._place(pair, moment)
        if at is not None and self.kept.get(at) is not None:
            alike = moment == OUTPUT and pair.a in self._own
            self.found[at] = compared(pair.a, pair.b, moment, self.kept[at], array, alike=alike)
            self.kept[at] = None  # the order is left

    def _place(self, pair: LayerPair, moment: str) -> Moment | None:
        """Return what a moment is called, or None if it is not to be compared."""
        if moment == OUTPUT and not pair.outputs:
            return None
        number = self.counts[pair.a, moment] = self.counts.get((pair.a, moment), 0) + 1
        at = Moment(pair.a, moment, number)
        return at if self._only is None or at in self._only else None
