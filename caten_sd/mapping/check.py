"""Whether a state dict is in a layout; where it is not, which one it is in and how to change it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from caten_sd.mapping.detection import Detection, detect_layout
from caten_sd.mapping.findings import Findings
from caten_sd.mapping.known import find_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.reading import items_of, read_canonical
from caten_sd.mapping.sizes import Numbers
from caten_sd.state_dict import as_state_dict


@attrs.frozen
class LayoutCheck:
    """How many keys are names of the layout, what does not fit it, and what was detected."""

    layout: Layout
    total: int
    findings: Findings
    detection: Detection

    @property
    def fits(self) -> bool:
        """Whether every key has a row, every row a key, and every shape is as declared."""
        return not self.findings.complaint

    @property
    def verdict(self) -> str:
        """The one line that says how it stands, with counts."""
        taken = self.total - len(self.findings.untaken)
        text = f"{taken} of {self.total} keys are names of {self.layout.name}"
        return f"{text}, in the shapes that it declares" if self.fits else text

    @property
    def fix(self) -> str:
        """The one line that brings it into the layout; "" where it is, or where none is known."""
        found = self.detection.layout
        if self.fits or found is None or found is self.layout:
            return ""
        if found.canonical is not self.layout.canonical:
            return ""
        return f"caten-sd convert IN OUT --to {self.layout.name}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        found = self.detection.layout
        return {
            "verdict": self.verdict,
            "fits": self.fits,
            "layout": self.layout.name,
            "detected": found.name if found else None,
            "evidence": list(self.detection.evidence),
            "untaken": self.findings.untaken,
            "idle": [str(row) for row in self.findings.idle],
            "misfits": [str(misfit) for misfit in self.findings.misfits],
            "fix": self.fix,
        }

    def __str__(self) -> str:
        lines = [f"{self.verdict}.", *(f"  {line}" for line in self.findings.lines())]
        found = self.detection.layout
        if not self.fits and found is not self.layout:
            seen = f"it is in {found.name}" if found else "it is in no layout that is known"
            lines.append(f"likely cause: {seen} ({'; '.join(self.detection.evidence[:2])})")
        return "\n".join([*lines, f"fix: {self.fix}"] if self.fix else lines)


def check_layout(state_dict: Mapping[str, Any], layout: str | Layout) -> LayoutCheck:
    """Hold a state dict's keys and shapes against a layout; nothing is read."""
    state = as_state_dict(state_dict)
    asked = find_layout(layout)
    reading = read_canonical(asked, items_of(state), Numbers({}), lenient=True)
    return LayoutCheck(asked, len(state), reading.findings, detect_layout(state))
