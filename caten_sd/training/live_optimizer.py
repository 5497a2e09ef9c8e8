"""Split from caten_sd/training/optimizer.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from caten_sd.loading.report import LoadRow
from caten_sd.state.leaf import DType, Spec
from caten_sd.state.plain_values import SavedLeaf


@attrs.frozen
class LiveOptimizer:
    """An optimizer as it is, by the names of its parameters; ``aliases`` are further names.

    ``order_matters`` says that its state speaks of the order of its parameters.
    """

    kind: str
    members: list[list[str]]
    params: dict[str, Spec]
    groups: list[dict[str, Any]]
    state: Mapping[str, Mapping[str, Any]]
    aliases: Mapping[str, str]
    order_matters: bool = False


@attrs.frozen
class Filling:
    """A tensor on its way into a parameter's state, and the dtype it shall have there."""

    leaf: SavedLeaf
    dtype: DType


@attrs.define
class OptimizerPlan:
    """What each parameter's state and each group become, with the rows that say so."""

    rows: list[LoadRow] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)
    state: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    groups: list[dict[str, Any]] = attrs.field(factory=list)
