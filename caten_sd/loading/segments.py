"""Find keys that differ from slots by how their segments are written, or by one segment more."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from caten_sd.loading.file_trees import trees
from caten_sd.loading.misfit import Case, Cause, Shape, shapes_of
from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.loading.rename_trial import line_if_settled, names_settle
from caten_sd.loading.report import Outcome
from caten_sd.state.keys import INDEX_SEGMENT
from caten_sd.wording import counted

MOST_RULES = 64  # a line with more is not pasted
MOST_SEGMENTS = 16
_LETTERS = "ijklmnopq"


class _Spelling(NamedTuple):
    """What turns a key into a slot, in Python's words and as a function."""

    text: str
    of: Callable[[str], str]


_SPELLINGS = (
    _Spelling('key.replace("/", ".")', lambda key: key.replace("/", ".")),
    _Spelling(
        'key.replace("/", ".").removesuffix(":0")',
        lambda key: key.replace("/", ".").removesuffix(":0"),
    ),
    _Spelling("key.lower()", str.lower),
)


def letters_of(key: str) -> str:
    """Return a key without its separators and its upper case.

    >>> letters_of("Layer_0/kernel:0"), letters_of("layer.0.kernel")
    ('layer0kernel', 'layer0kernel')
    """
    return re.sub(r"[\W_]+", "", key.removesuffix(":0").lower())


def unique_letters(keys: Iterable[str]) -> dict[str, str]:
    """Return the keys by their letters, without those that others share."""
    found: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for key in keys:
        counts[letters_of(key)] += 1
        found[letters_of(key)] = key
    return {letters: key for letters, key in found.items() if counts[letters] == 1}


def spelled_otherwise(case: Case) -> Cause | None:
    """Return a cause if keys differ from slots only in separators or in upper and lower case."""
    file, model = case.shapes(Outcome.UNEXPECTED), case.shapes(Outcome.MISSING)
    slots, keys = unique_letters(model), unique_letters(file)
    pairs = {
        keys[each]: slot
        for each, slot in slots.items()
        if file.get(keys.get(each, "")) == model[slot]
    }
    if not pairs or len(pairs) < min(len(file), len(model)):
        return None
    key, slot = next(iter(pairs.items()))
    differ = counted(len(pairs), "key differs", "keys differ")
    return Cause(
        f"{differ} from slots only in separators or in upper and lower case ({key} of the file is "
        f"{slot} of the model)",
        _respelled(case, pairs),
    )


def _respelled(case: Case, pairs: Mapping[str, str]) -> str:
    """Return the line that loads under the slots' names, or "" if one would be too long."""
    for spelling in _SPELLINGS:
        leaves = {spelling.of(key): case.file[key] for key in case.file}
        if len(leaves) == len(case.file) and names_settle(case, NamedLeaves(leaves)):
            renamed = f"{{{spelling.text}: state_dict[key] for key in state_dict}}"
            return f"load_state_dict(model, {renamed})"
    rules = dict(_without_common_end(key, slot) for key, slot in pairs.items())
    if len(rules) > MOST_RULES or "{" in "".join(rules):
        return ""
    return line_if_settled(case, rules)


def _without_common_end(key: str, slot: str) -> tuple[str, str]:
    """Return both without the segments that both end with.

    >>> _without_common_end("layer_0.weight", "layer.0.weight")
    ('layer_0', 'layer.0')
    """
    old, new = key.split("."), slot.split(".")
    while len(old) > 1 and len(new) > 1 and old[-1] == new[-1]:
        del old[-1], new[-1]
    return ".".join(old), ".".join(new)


def inserted_segment(case: Case) -> Cause | None:
    """Return a cause if keys have one segment more, as PEFT's base_layer, and else all agree.

    If there are several such segments, each stands for a tree of its own, and one is not preferred.
    """
    slots, file = shapes_of(case.slots), shapes_of(case.file)
    keys = case.shapes(Outcome.UNEXPECTED)
    if not keys or not case.of(Outcome.MISSING) or trees(file, slots):
        return None
    known = {segment for slot in slots for segment in slot.split(".")}
    foreign = Counter(segment for key in keys for segment in set(key.split(".")) - known)
    likely = sorted(foreign, key=lambda each: (-foreign[each], each))[:MOST_SEGMENTS]
    roots = {
        each: root for each in likely if (root := _root_without(each, file, slots)) is not None
    }
    if len(roots) != 1:
        return None
    ((segment, root),) = roots.items()
    count = counted(foreign[segment], "key has", "keys have")
    start = f', and the model is under "{root}."' if root else ""
    return Cause(
        f"{count} the segment {segment}, which no slot has{start}; without it names and shapes "
        f"agree",
        _line_without(segment, root, case),
    )


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
            rules[start + _lettered(old.removeprefix(start))] = _lettered(new)
    if "{" in root or any("{" in key for key in case.file) or len(rules) > MOST_RULES:
        return ""
    ordered = sorted(rules, key=lambda old: -old.count("."))  # the first that matches applies
    return line_if_settled(
        case, {**{old: rules[old] for old in ordered}, **({root: ""} if root else {})}
    )


def _lettered(path: str) -> str:
    """Return a path with a letter for each index, as ``rename`` takes it.

    >>> _lettered("h.0.mlp.1")
    'h.{i}.mlp.{j}'
    """
    if len(INDEX_SEGMENT.findall(path)) > len(_LETTERS):
        return path
    letters = iter(_LETTERS)
    return INDEX_SEGMENT.sub(lambda _: f"{{{next(letters)}}}", path)
