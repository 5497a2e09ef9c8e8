"""Who holds a slot: an owner under a name, or an owner that synthesizes its leaf."""

from __future__ import annotations

from typing import Any, NamedTuple

from caten_sd.loading.owners import SynthesizedSlot


class SynthesizedLeaf(NamedTuple):
    """The slot that takes all the leaves that an owner synthesizes, and the name of one of them.

    ``beside`` are the keys of the leaves that the owner stores and saves beside them.
    """

    slot: SynthesizedSlot
    name: str
    beside: frozenset[str]


class Holder(NamedTuple):
    """An owner and the name of a slot in it."""

    owner: Any
    name: Any
