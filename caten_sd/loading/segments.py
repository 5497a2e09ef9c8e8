"""Find keys that have one segment more than the slots, as PEFT's base_layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from caten_sd.loading.file_trees import trees
from caten_sd.loading.misfit import Case, Cause, Shape
from caten_sd.loading.rename_trial import MOST_RULES, line_if_settled
from caten_sd.loading.renaming_guess import with_letters
from caten_sd.loading.report import Outcome
from caten_sd.wording import counted

MOST_SEGMENTS = 16
MOST_SAMPLES = 8


def inserted_segment(case: Case) -> Cause | None:
    """Return a cause if keys have one segment more, as PEFT's base_layer, and else all agree.

    If there are several such segments, each stands for a tree of its own, and one is not preferred.
    """
    slots, file = case.slot_shapes, case.file_shapes
    keys = case.shapes(Outcome.UNEXPECTED)
    if not keys or not case.of(Outcome.MISSING) or trees(file, slots):
        return None
    known = {segment for slot in slots for segment in slot.split(".")}
    foreign = Counter(segment for key in keys for segment in set(key.split(".")) - known)
    likely = sorted(foreign, key=lambda each: (-foreign[each], each))[:MOST_SEGMENTS]
    likely = [each for each in likely if _may_be_inserted(each, keys, slots)]
    roots = [(each, _root_without(each, file, slots)) for each in likely]
    found = [(segment, root) for segment, root in roots if root is not None]
    if len(found) != 1:
        return None
    ((segment, root),) = found
    count = counted(foreign[segment], "key has", "keys have")
    start = f', and the model is under "{root}."' if root else ""
    return Cause(
        f"{count} the segment {segment}, which no slot has{start}; without it names and shapes "
        f"agree",
        _line_without(segment, root, case),
    )


def _may_be_inserted(segment: str, keys: Mapping[str, Shape], slots: Mapping[str, Shape]) -> bool:
    """Return whether one of the first keys that have a segment ends as a slot without it."""
    having = [key for key in keys if segment in key.split(".")][:MOST_SAMPLES]
    return any(
        slots.get(end) == keys[key] for key in having for end in _ends(_without(segment, key))
    )


def _ends(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[at:]) for at in range(len(parts))]


def _root_without(
    segment: str, file: Mapping[str, Shape], slots: Mapping[str, Shape]
) -> str | None:
    """Return the root of the model in the file whose keys lose a segment, or None."""
    shorter = {_without(segment, key): shape for key, shape in file.items()}
    if len(shorter) < len(file):
        return None
    if all(shorter.get(slot) == shape for slot, shape in slots.items()):
        return ""
    roots = trees(shorter, slots)
    return roots[0] if len(roots) == 1 else None


def _without(segment: str, key: str) -> str:
    return ".".join(part for part in key.split(".") if part != segment)


def _line_without(segment: str, root: str, case: Case) -> str:
    rules = {}
    for key in case.shapes(Outcome.UNEXPECTED):
        parts = key.split(".")
        if segment in parts:
            old = ".".join(parts[: len(parts) - parts[::-1].index(segment)])
            new = _without(segment, old).removeprefix(root).removeprefix(".")
            start = f"{root}." if old.startswith(f"{root}.") and root else ""
            rules[start + with_letters(old.removeprefix(start))] = with_letters(new)
    if "{" in root or any("{" in key for key in case.file) or len(rules) > MOST_RULES:
        return ""
    ordered = sorted(rules, key=lambda old: -old.count("."))  # the first that matches applies
    return line_if_settled(
        case, {**{old: rules[old] for old in ordered}, **({root: ""} if root else {})}
    )
