"""Check whether a state dict is in a layout; if not, find which one it is in and how to convert."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from caten_sd.mapping.axis_sizes import Numbers
from caten_sd.mapping.detection import Detection, detect_layout
from caten_sd.mapping.findings import Findings
from caten_sd.mapping.known import find_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.reading import items_of, read_canonical
from caten_sd.state.options import checked_options
from caten_sd.state.quoting import is_shell_word, shell_option, shell_path
from caten_sd.state.sheet import HasSheet, Sheet
from caten_sd.state.state_dict import as_state_dict
from caten_sd.wording import counted


@attrs.frozen(repr=False)
class LayoutCheck(HasSheet):
    """How many keys are names of the layout, what contradicts it, and which layout was detected.

    ``file`` and ``called`` are the names of file and layout in the command of ``fix``.
    """

    layout: Layout
    total: int
    findings: Findings
    detection: Detection
    file: str = "FILE"
    called: str = ""

    @property
    def fits(self) -> bool:
        """Whether every key has a row, every row a key, and every shape is as declared."""
        return not self.findings.complaint

    @property
    def verdict(self) -> str:
        """The result in one line, with counts."""
        taken = self.total - len(self.findings.untaken)
        names = "key is a name" if self.total == 1 else "keys are names"
        text = f"{taken:,} of {self.total:,} {names} of {self.layout.name}"
        if self.fits:
            return f"{text}, in the shapes that it declares"
        return "; ".join([text, *self.findings.faults()])

    @property
    def cause(self) -> str:
        """What is likely wrong; "" if nothing is, or if there is no evidence."""
        found, swapped = self.detection, [each for each in self.findings.misfits if each.swapped]
        if self.fits or self.layout in (found.layout, found.similar):
            return ""
        if not self.total:
            return "the file holds no tensors"
        if swapped and len(swapped) * 2 >= len(self.findings.misfits):
            count = counted(len(swapped), "matrix is", "matrices are")
            return f"{count} transposed compared with {self.layout.name}"
        if found.layout:
            return f"it is in {found.layout.name} ({'; '.join(found.evidence[:2])})"
        if found.similar:
            return f"it is most like {found.similar.name} ({'; '.join(found.evidence[:2])})"
        return "; ".join(found.evidence[1 if found.unprefixed else 0 :][:2])

    @property
    def fix(self) -> str:
        """The command that converts it to the layout; "" if it is in it, or if none is known."""
        found = self.detection.layout or self.detection.unprefixed
        if self.fits or found is None or self.detection.layout is self.layout:
            return ""
        if found.canonical.name != self.layout.canonical.name or not self.called:
            return ""
        target = f"{Path(self.file).stem}.{self.layout.name}.safetensors"
        words = [shell_path(self.file), shell_path(target), shell_option("--to", self.called)]
        root = self.detection.root
        if not is_shell_word(self.file + self.called + root):
            return ""
        words += [shell_option("--root", root)] * bool(root)
        return " ".join(["caten-sd convert", *words])

    def sheet(self) -> Sheet:
        """Return the sheet: what the layout found, in groups, and the layout that was detected."""
        found = self.detection.layout
        return Sheet(
            "layout check",
            self.verdict,
            groups=self.findings.groups(),
            cause=self.cause,
            fix=self.fix,
            data={
                "layout": self.layout.name,
                "fits": self.fits,
                "detected": found.name if found else None,
                "prefix": self.detection.prefix,
                "evidence": self.detection.evidence,
            },
        )


@checked_options()
def check_layout(
    state_dict: Mapping[str, Any], layout: str | Layout, *, file: str = "FILE"
) -> LayoutCheck:
    """Check a state dict's keys and shapes against a layout; no data is read.

    ``file`` is the file's name in the command that converts it.
    """
    state = as_state_dict(state_dict)
    wanted = find_layout(layout)
    reading = read_canonical(wanted, items_of(state), Numbers({}), lenient=True)
    called = layout if isinstance(layout, str) else layout.name
    detection = detect_layout(state, layouts=[wanted])
    return LayoutCheck(wanted, len(state), reading.findings, detection, file, called)
