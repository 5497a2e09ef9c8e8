"""An optimizer in memory, described by the names of its parameters, and what a load makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from caten_sd.loading.report import LoadRow
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import Spec
from caten_sd.state.saved_leaf import SavedLeaf


@attrs.frozen
class LiveOptimizer:
    """An optimizer as it is now, with names for its parameters.

    ``kind`` is the name of its class. ``members`` are the names in each group; ``aliases`` maps
    further names to these. ``order_matters`` if its state depends on the order of its parameters.
    """

    kind: str
    members: list[list[str]]
    params: dict[str, Spec]
    groups: list[dict[str, Any]]
    state: Mapping[str, Mapping[str, Any]]
    aliases: Mapping[str, str]
    order_matters: bool = False


@attrs.frozen
class SlotTensor:
    """A tensor of the file for a slot of a parameter's state, and the dtype that it gets there."""

    leaf: SavedLeaf
    dtype: DType


@attrs.define
class OptimizerPlan:
    """The new state of each parameter and the new values of each group, with their rows."""

    rows: list[LoadRow] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)
    state: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    groups: list[dict[str, Any]] = attrs.field(factory=list)
