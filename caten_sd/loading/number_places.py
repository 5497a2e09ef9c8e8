"""Find keys whose numbers stand elsewhere, as ``layer_0`` for ``h.0``, or count from elsewhere."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from caten_sd.errors import StateDictError
from caten_sd.loading.misfit import Case, Cause, Shape
from caten_sd.loading.rename_trial import line_for_pairs
from caten_sd.loading.renaming_guess import Renaming, hides_a_transposition, renamings
from caten_sd.loading.report import Outcome
from caten_sd.state.keys import INDEX_SEGMENT
from caten_sd.state.renames import renamed
from caten_sd.wording import counted

_DIGITS = re.compile(r"[0-9]{1,18}")
# A run of separators is looked at once, and not again from each of them.
_NUMBER = re.compile(r"(?:(?<![_-])[_-]+)?([0-9]{1,18})[_-]*")


def numbers_elsewhere(case: Case) -> Cause | None:
    """Return a cause if keys are slots whose numbers are segments of their own, or are not.

    A list may count from 0 on one side and from 1 on the other, if both have all of its numbers.
    """
    file, slots = apart(case.file_shapes), apart(case.slot_shapes)
    found = [_cause(case, file, slots), _cause(case, _from_zero(file), _from_zero(slots))]
    return max(filter(None, found), key=lambda each: bool(each.fix), default=None)


def number_apart(key: str) -> str:
    """Return a key with each number in it as a segment of its own.

    >>> number_apart("layer_0.ln_f.weight"), number_apart("stage1_block02.w")
    ('layer.0.ln_f.weight', 'stage.1.block.2.w')
    """
    parts = (part for segment in key.split(".") for part in _NUMBER.split(segment))
    numbered = (str(int(part)) if _DIGITS.fullmatch(part) else part for part in parts if part)
    return ".".join(numbered)


def apart(keys: Mapping[str, Shape]) -> dict[str, str]:
    """Return the keys by what they are with their numbers apart, without those that others share.

    >>> apart({"h.0": (), "w_1": (), "w1": ()})
    {'h.0': 'h.0'}
    """
    found: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        found[number_apart(key)].append(key)
    return {name: several[0] for name, several in found.items() if len(several) == 1}


def _from_zero(keys: Mapping[str, str]) -> dict[str, str]:
    """Return the keys, with the numbers from 0 of each outermost list that has 1, 2 and so on."""
    lists: dict[str, set[int]] = defaultdict(set)
    for name in keys:
        if at := INDEX_SEGMENT.search(name):
            lists[name[: at.start()]].add(int(at[0]))
    shifted = {stem for stem, has in lists.items() if has == set(range(1, len(has) + 1))}
    shifted = {stem for stem in shifted if len(lists[stem]) > 1}
    return {_counted_down(name, shifted): key for name, key in keys.items()}


def _counted_down(name: str, stems: set[str]) -> str:
    at = INDEX_SEGMENT.search(name)
    if at is None or name[: at.start()] not in stems:
        return name
    return f"{name[: at.start()]}{int(at[0]) - 1}{name[at.end() :]}"


def _cause(case: Case, file: Mapping[str, str], slots: Mapping[str, str]) -> Cause | None:
    """Return the cause for keys and slots by their names with numbers apart, or None."""
    shapes = {name: case.file_shapes[key] for name, key in file.items()}
    rules = _rules(shapes, {name: case.slot_shapes[slot] for name, slot in slots.items()})
    try:
        names = renamed(shapes, {each.old: each.new for each in rules})
    except StateDictError:
        return None
    pairs = {
        file[name]: slots[new]
        for name, new in names.items()
        if new in slots and shapes[name] == case.slot_shapes[slots[new]]
    }
    moved = {key: slot for key, slot in pairs.items() if _numbers(key) != _numbers(slot)}
    fewest = min(len(case.shapes(each)) for each in (Outcome.UNEXPECTED, Outcome.MISSING))
    if not moved or len(moved) * 2 < fewest or _leaves_numbers(case, pairs):
        return None
    key, slot = next(iter(moved.items()))
    have = counted(len(moved), "key has", "keys have")
    text = f"{have} numbers that are written or counted differently ({key} of the file looks like "
    text += f"{slot} of the model)"
    if any(hides_a_transposition(each, shapes) for each in rules):
        return Cause(f"{text}; square matrices have another name and may be transposed, too", "")
    return Cause(text, line_for_pairs(case, pairs))


def _rules(file: Mapping[str, Shape], model: Mapping[str, Shape]) -> list[Renaming]:
    """Return rules for the names of the file that are not names of the model."""
    return renamings(
        {name: shape for name, shape in file.items() if model.get(name) != shape},
        {name: shape for name, shape in model.items() if file.get(name) != shape},
    )


def _numbers(key: str) -> tuple[list[int], list[str]]:
    """Return all numbers in a key, and those that are segments of their own."""
    return [int(each) for each in _DIGITS.findall(key)], INDEX_SEGMENT.findall(key)


def _leaves_numbers(case: Case, pairs: Mapping[str, str]) -> bool:
    """Return whether lists were counted from elsewhere, and keys or slots with numbers are left."""
    if all(_numbers(key)[0] == _numbers(slot)[0] for key, slot in pairs.items()):
        return False
    slots = set(pairs.values())
    left = [key for key in case.file_shapes if key not in pairs]
    left += [slot for slot in case.slot_shapes if slot not in slots]
    return any(map(_DIGITS.search, left))
