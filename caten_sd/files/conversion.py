"""From a checkpoint file to another format, layout or dtype, one tensor at a time, and checked."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from caten_sd.errors import FormatError
from caten_sd.files.cast import before_cast, cast_floats
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.state.compare import largest_error, same_bytes
from caten_sd.state.leaf import spec
from caten_sd.state.pieces import PIECE, Progress, reporting
from caten_sd.state.state_dict import StateDict, spec_or_none
from caten_sd.wording import first_few


@attrs.frozen
class Estimate:
    """What a conversion will write and need: tensors, tied ones too, and bytes of each once."""

    tensors: int
    size: int
    memory: int


@attrs.frozen
class Conversion:
    """What a conversion did; the counts and the error are read back from what was written.

    ``left_out`` are the values that are no tensors, and what lay beside the tree that was taken.
    ``findings`` are those of the layout: what was dropped and why, what was tied, what no row took.
    """

    source: str
    target: str
    tensors: int
    size: int
    layout: str
    casts: Mapping[str, int]
    error: float
    error_key: str
    left_out: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.target}: {self.tensors} tensors, {self.size:,} bytes, read back and equal"
        if self.layout:
            text += f"; layout {self.layout}"
        if self.casts:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.casts.items())
            text += f"; cast {kinds}, largest error {self.error:.2g}"
            text += f" in {self.error_key}" if self.error_key else ""
        if self.left_out:
            text += f"; left out: {first_few(self.left_out, 5)}"
            text += ", ..." * (len(self.left_out) > 5)
        return "\n  ".join([text, *self.findings])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return attrs.asdict(self)


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    layout: str | None = None,
    from_layout: str | None = None,
    dtype: str | None = None,
    keep: Mapping[str, str] | None = None,
    root: str | None = None,
    announce: Callable[[Estimate], Any] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Conversion:
    """Write a checkpoint again in the format of the target's suffix, and return what was done.

    ``layout`` names the layout to write, ``from_layout`` the one that the source is in, where it
    cannot be told, ``dtype`` ("bf16") what floats become, ``keep`` exceptions by pattern,
    ``root`` the tree of a file that holds several; ``options`` go to the format's writer. One
    tensor is in memory at a time. The target is re-opened and every tensor compared. ``announce``
    is told what will be written before anything is, ``progress`` the bytes that are.
    """
    with read_state_dict(source, root=root, streaming=True) as given:
        turned, findings = _in_layout(given, layout, from_layout)
        meant = cast_floats(turned, dtype, keep)
        need = estimate(meant)
        if announce is not None:
            announce(need)
        with reporting(progress, need.size):
            write_state_dict(meant, target, **options)
        with read_state_dict(target, streaming=True) as written:
            done = _compared(meant, written, Path(source), Path(target))
    return attrs.evolve(done, left_out=(*meant.others, *meant.rest), findings=findings)


def estimate(state_dict: StateDict) -> Estimate:
    """Return how many bytes writing the leaves takes on disk, and in memory at a time."""
    specs = {key: known for key, leaf in state_dict.items() if (known := spec_or_none(leaf))}
    sizes = [known.nbytes for key, known in specs.items() if key not in state_dict.ties]
    return Estimate(len(specs), sum(sizes), 2 * max(sizes, default=0) + PIECE)


def _in_layout(
    state_dict: StateDict, layout: str | None, from_layout: str | None
) -> tuple[StateDict, tuple[str, ...]]:
    if layout is None:
        return state_dict, ()
    from caten_sd.mapping.layout_plan import plan_layout

    plan = plan_layout(state_dict, layout, from_layout=from_layout)
    return plan.state_dict, tuple(plan.findings.lines())


def _compared(meant: StateDict, written: StateDict, source: Path, target: Path) -> Conversion:
    """Compare what was written with what was meant; FormatError names the first that differs."""
    casts: Counter[str] = Counter()
    error, error_key, size = 0.0, "", 0
    for key, leaf in meant.items():
        if key not in written:
            raise FormatError(target, f"{key!r} is not in what was written", "report this")
        if key in meant.ties:
            continue
        size += spec(leaf).nbytes
        if not same_bytes(leaf, written[key]):
            raise FormatError(target, f"{key!r} does not read back as it was written", "try again")
        if (before := before_cast(leaf)) is not None:
            casts[f"{spec(before).dtype} to {spec(leaf).dtype}"] += 1
            lost = largest_error(before, written[key])
            error, error_key = max((error, error_key), (lost, key))
    layout = str(meant.metadata.get("caten_sd.layout", ""))
    return Conversion(str(source), str(target), len(meant), size, layout, casts, error, error_key)
