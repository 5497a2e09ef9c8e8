"""Find a model of another size than the file's: more layers, other widths, other positions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from caten_sd.loading.misfit import Case, Cause
from caten_sd.loading.positions import positions
from caten_sd.loading.report import Outcome
from caten_sd.state.keys import INDEX_SEGMENT
from caten_sd.wording import counted


def other_sizes(case: Case) -> Cause | None:
    """Return a cause if one side has more layers, other positions, or one size in most shapes.

    Which argument of the model says so is not known, so there is no line to paste.
    """
    found = [each for each in (_depth(case), _width(case), positions(case)) if each]
    if not found:
        return None
    texts, wanted = zip(*found, strict=True)
    return Cause(f"{'; '.join(texts)}: construct the model with {' and '.join(wanted)}", "")


def _depth(case: Case) -> tuple[str, str] | None:
    """Return how many layers the file has, if whole layers at the end are all that differs."""
    rows = [*case.of(Outcome.UNEXPECTED), *case.of(Outcome.MISSING)]
    stem = _list_of(rows[0].key) if rows else ""
    if not stem or case.has_other_names:
        return None
    file, model = _layers(case.file, stem), _layers(case.slots, stem)
    shared = [f"{stem}.{index}." for index in file & model]
    if any(row.key.startswith((*shared,)) or _list_of(row.key) != stem for row in rows):
        return None
    if file == model or any(each != set(range(len(each))) for each in (file, model)):
        return None
    layers = counted(len(file), "layer")
    return f"{stem} has {layers} in the file and {len(model)} in the model", f"{layers} in {stem}"


def _list_of(key: str) -> str:
    """Return the path of the first list in a key: all segments before its first index."""
    segments = key.split(".")
    at = next((at for at, segment in enumerate(segments) if segment.isdecimal()), 0)
    return ".".join(segments[:at])


def _layers(state: Mapping[str, Any], stem: str) -> set[int]:
    start = f"{stem}."
    below = (key[len(start) :].partition(".")[0] for key in state if key.startswith(start))
    return {int(segment) for segment in below if INDEX_SEGMENT.fullmatch(segment)}


def _width(case: Case) -> tuple[str, str] | None:
    rows = case.of(Outcome.SHAPE)
    pairs: Counter[tuple[int, int]] = Counter()
    for row in rows:
        if row.leaf and row.slot and len(row.leaf.shape) == len(row.slot.shape):
            axes = zip(row.leaf.shape, row.slot.shape, strict=True)
            pairs.update({(file, model) for file, model in axes if file != model})
    for (file, model), count in pairs.most_common(1):
        if count > 1 and count * 2 >= len(rows):
            text = f"{count} axes of tensors are {file} long in the file and {model} in the model"
            return text, f"{file} in place of {model}"
    return None
