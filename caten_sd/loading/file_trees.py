"""Find a file whose tree is there, but several times, counted from elsewhere or without names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from caten_sd.loading.misfit import Case, Cause, Shape, rename_line
from caten_sd.loading.rename_trial import line_if_settled
from caten_sd.loading.report import Outcome
from caten_sd.wording import counted

MAX_TREES = 64  # with more, a name such as "weight" says too little


def several_trees(case: Case) -> Cause | None:
    """Return a cause if the file holds several trees that fit the model, as student and teacher.

    Which one is meant is not in the file, so there is no line to paste.
    """
    if not case.of(Outcome.MISSING):
        return None
    found = trees(case.file_shapes, case.slot_shapes)
    if len(found) < 2:
        return None
    return Cause(
        f"the file holds {len(found)} trees that each fit {case.model}: {', '.join(found)}; read "
        f"the one that you want by its name, with root= or --root",
        "",
    )


def trees(file: Mapping[str, Shape], slots: Mapping[str, Shape]) -> list[str]:
    """Return the prefixes under which the file has a tensor for every slot."""
    if not slots:
        return []
    longest = max(slots, key=lambda key: key.count("."))
    end = f".{longest}"
    roots = [key[: -len(end)] for key in file if key.endswith(end)]
    if len(roots) > MAX_TREES:
        return []
    return [r for r in roots if all(file.get(f"{r}.{key}") == slots[key] for key in slots)]


def counted_from_elsewhere(case: Case) -> Cause | None:
    """Return a cause if the indices of a list differ by a constant and everything else agrees."""
    file, slots = case.file_shapes, case.slot_shapes
    texts, rules, starts = [], {}, set()
    model_lists = _lists(slots)
    for stem, theirs in _lists(file).items():
        ours = model_lists.get(stem, {})
        shift = min(theirs) - min(ours) if ours else 0
        if not shift or {index - shift: below for index, below in theirs.items()} != ours:
            continue
        name = stem or "the list"
        texts.append(f"{name} counts from {min(theirs)} in the file and {min(ours)} in the model")
        starts.add((min(theirs), min(ours)))
        start = f"{stem}." if stem else ""
        rules.update({f"{start}{index}": f"{start}{index - shift}" for index in sorted(theirs)})
    if not texts or "{" in "".join(rules):
        return None
    # Another start may be that of a stage of a pipeline, which has other layers than the model's.
    whole = starts <= {(0, 1), (1, 0)}
    return Cause("; ".join(texts), line_if_settled(case, rules) if whole else "")


def _lists(state: Mapping[str, Shape]) -> dict[str, dict[int, dict[str, Shape]]]:
    """Return the shapes below each index of each outermost list."""
    lists: dict[str, dict[int, dict[str, Shape]]] = defaultdict(dict)
    for key, shape in state.items():
        parts = key.split(".")
        at = next((at for at, part in enumerate(parts) if part and part == _index(part)), None)
        if at is not None:
            below = lists[".".join(parts[:at])].setdefault(int(parts[at]), {})
            below[".".join(parts[at + 1 :])] = shape
    return lists


def _index(part: str) -> str:
    """Return the part as an index is written, or "" for anything else, such as 007."""
    return str(int(part)) if part.isascii() and part.isdecimal() and len(part) < 10 else ""


def without_names(case: Case) -> Cause | None:
    """Return a cause if the file is a list of tensors that fit the model's slots in order."""
    if not case.has_other_names:
        return None
    file, slots = case.file_shapes, case.slot_shapes
    order = [str(index) for index in range(len(slots))]
    if set(file) != set(order) or len(file) != len(case.file) or set(file) & set(slots):
        return None
    if [file[key] for key in order] != list(slots.values()) or len(order) < 2:
        return None
    different = len(set(file.values())) == len(file)
    square = any(len(shape) > 1 and shape == shape[::-1] for shape in file.values())
    unsure = "; a square matrix may be transposed, which its shape cannot show" if square else ""
    if not different:
        unsure = "; some shapes are equal, so the order cannot be checked"
    return Cause(
        f"the file is a list of {counted(len(file), 'tensor')} without names, whose shapes are "
        f"those of the model's slots in order{unsure}",
        "" if unsure else rename_line(dict(zip(order, slots, strict=True))),
    )
