"""What a search for causes looks at, a load that does not fit, and what it finds."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import attrs

from caten_sd.loading.report import LoadRow, Outcome
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.quoting import python_literal
from caten_sd.state.state_dict import StateDict

Shape = tuple[int, ...]


class Cause(NamedTuple):
    """What is likely wrong, and a line to paste that fixes it; "" if none is right every time."""

    text: str
    fix: str


@attrs.frozen
class Case:
    """A load that does not fit: the model's slots, the file's leaves and the rows of the plan.

    ``is_module`` is whether the model has submodules by name, as torch's modules. ``owner`` is the
    model itself, where it is there.
    """

    model: str
    slots: StateDict
    file: StateDict
    rows: list[LoadRow]
    is_module: bool = False
    owner: Any = None

    def shapes(self, outcome: Outcome) -> dict[str, Shape]:
        """Return the file's shapes of the rows with an outcome; the model's for MISSING."""
        found = {}
        for row in self.rows:
            known = row.slot if outcome is Outcome.MISSING else row.leaf
            if row.outcome is outcome and known is not None:
                found[row.key] = known.shape
        return found

    def of(self, outcome: Outcome) -> list[LoadRow]:
        """Return the rows with an outcome."""
        return [row for row in self.rows if row.outcome is outcome]

    @functools.cached_property
    def file_shapes(self) -> dict[str, Shape]:
        """The shapes of all tensors of the file."""
        return _shapes(self.file)

    @functools.cached_property
    def slot_shapes(self) -> dict[str, Shape]:
        """The shapes of all slots of the model that have one."""
        return _shapes(self.slots)

    @property
    def has_other_names(self) -> bool:
        """Whether slots have no key and keys have no slot, so that names may differ, too."""
        return bool(self.of(Outcome.MISSING)) and bool(self.of(Outcome.UNEXPECTED))


def _shapes(state: Mapping[str, Any]) -> dict[str, Shape]:
    return {key: known.shape for key in state if (known := spec_or_none(state[key])) is not None}


def rename_line(rules: Mapping[str, str]) -> str:
    """Return the line that loads with these rules of ``rename``."""
    listed = ", ".join(
        f"{python_literal(old)}: {python_literal(new)}" for old, new in rules.items()
    )
    return f"load_state_dict(model, state_dict, rename={{{listed}}})"
