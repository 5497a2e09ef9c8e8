"""Why a file does not fit a model: found in names and shapes, with the one line that mends it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import attrs

from caten_sd.errors import CatenError
from caten_sd.loading.file_kinds import KINDS
from caten_sd.loading.renaming_guess import renamings
from caten_sd.loading.report import LoadRow, Outcome
from caten_sd.mapping.detection import detect_layout
from caten_sd.state.grouping import few_keys
from caten_sd.state.state_dict import StateDict
from caten_sd.state.training_keys import is_training

Shape = tuple[int, ...]


class Cause(NamedTuple):
    """What is likely wrong, and one line to paste."""

    text: str
    fix: str


@attrs.frozen
class Case:
    """A load that does not fit: the model's slots, the file's leaves and the rows of the plan."""

    model: str
    slots: StateDict
    file: StateDict
    rows: list[LoadRow]

    def shapes(self, outcome: Outcome) -> dict[str, Shape]:
        """Return the shapes of the rows with an outcome: the file's, or the model's if missing."""
        found = {}
        for row in self.rows:
            known = row.slot if outcome is Outcome.MISSING else row.leaf
            if row.outcome is outcome and known is not None:
                found[row.key] = known.shape
        return found

    def of(self, outcome: Outcome) -> list[LoadRow]:
        """Return the rows with an outcome."""
        return [row for row in self.rows if row.outcome is outcome]


def likely_cause(case: Case) -> Cause | None:
    """Return the first cause that the evidence carries, or None."""
    return next((found for find in _FINDERS if (found := find(case))), None)


def _load(options: str) -> str:
    return f"load_state_dict(model, state_dict, {options})"


def _training(case: Case) -> Cause | None:
    """Say so where the file is a whole training state, and the model is asked for."""
    if not is_training(case.file.keys()):
        return None
    return Cause(
        "the file is a training state: its model lies below model., beside optimizer and step",
        'load_state_dict(model, read_state_dict("THE_FILE", root="model"))',
    )


def _other_kind(case: Case) -> Cause | None:
    """Say so where the file is an optimizer's, an adapter's or quantised."""
    keys = [row.key for row in case.of(Outcome.UNEXPECTED)]
    for kind in KINDS:
        found = [key for key in keys if kind.marks.search(key)]
        if found and len(found) >= kind.share * len(case.file):
            return Cause(kind.text.format(f"{len(found)} keys such as {found[0]}"), kind.fix)
    return None


def _other_layout(case: Case) -> Cause | None:
    """Say so where file and model are one architecture in two layouts."""
    here, there = _layout(case.slots), _layout(case.file)
    if here is None or there is None or here.name == there.name:
        return None
    if here.architecture != there.architecture:
        return Cause(
            f"the file is {there.architecture}, in the layout {there.name}, and the model is "
            f"{here.architecture}, in {here.name}",
            "print(detect_layout(state_dict))",
        )
    return Cause(
        f"the file is in the layout {there.name} and the model in {here.name}: other names, or "
        f"matrices the other way round",
        f'load_state_dict(model, to_layout(state_dict, "{here.name}"))',
    )


def _layout(state: StateDict) -> Any:
    try:
        return detect_layout(state).layout
    except CatenError:
        return None


def _tied(case: Case) -> Cause | None:
    """Say which of several tied names can be left out, where they differ."""
    rows = case.of(Outcome.CONFLICT)
    if not rows:
        return None
    return Cause(
        f"{rows[0].key} is the same tensor as another slot of {case.model}, and the file has two "
        f"values for it",
        _load(f'on_mismatch={{"{rows[0].key}": skip}}'),
    )


def _rows_or_biases(case: Case) -> Cause | None:
    """Say how many rows of a vocabulary differ, and whether the file has no biases at all."""
    rows = case.of(Outcome.SHAPE)
    if not rows or len(rows) > 4 or not all(map(_rows_differ, rows)):
        return None
    told, repairs = [], {}
    for row in rows:
        file, model = row.leaf.shape[0], row.slot.shape[0]  # type: ignore[union-attr]
        which = f"{file - model} rows more" if file > model else f"{model - file} rows fewer"
        told.append(f"{row.key} has {which} in the file ({file}) than in the model ({model})")
        repairs[row.key] = "trim_rows()" if file > model else "pad_rows()"
    if any(max(row.leaf.shape[0], row.slot.shape[0]) % 64 == 0 for row in rows):  # type: ignore[union-attr]
        told[-1] += ", which looks like a vocabulary padded to a multiple of 64"
    missing = [row.key for row in case.of(Outcome.MISSING)]
    if missing and all(key.endswith("bias") for key in missing):
        told.append(f"{len(missing)} biases are absent")
        repairs["*bias"] = "fill(0.0)"
    listed = ", ".join(f'"{key}": {repair}' for key, repair in repairs.items())
    return Cause("; ".join(told), _load(f"on_mismatch={{{listed}}}"))


def _rows_differ(row: LoadRow) -> bool:
    file, model = (row.leaf.shape if row.leaf else ()), (row.slot.shape if row.slot else ())
    return len(file) == len(model) == 2 and file[1] == model[1]


def _transposed(case: Case) -> Cause | None:
    """Say so where matrices lie the other way round, in no layout that is known."""
    rows = case.of(Outcome.SHAPE)
    turned = [row.key for row in rows if row.leaf and row.slot and _turned(row)]
    if not turned or len(turned) * 2 < len(rows):
        return None
    return Cause(
        f"{len(turned)} matrices lie the other way round in the file ({few_keys(turned, 2)}); "
        f"square ones may too, and their shape cannot tell",
        'Layout("mine", [Row("{part}.weight", "{part}.weight", Transpose())])  # one row for each',
    )


def _turned(row: LoadRow) -> bool:
    return bool(row.leaf and row.slot and row.leaf.shape == row.slot.shape[::-1])


def _renamed(case: Case) -> Cause | None:
    """Propose the rules by which keys of the file would become slots of the model."""
    file, model = case.shapes(Outcome.UNEXPECTED), case.shapes(Outcome.MISSING)
    found = renamings(file, model)
    agreeing = sum(each.agreeing for each in found)
    if not found or agreeing * 2 < min(len(file), len(model)):
        return None
    told = [_told(each) for each in found[:3]]
    rules = ", ".join(f'"{each.old}": "{each.new}"' for each in found)
    return Cause("; ".join(told), _load(f"rename={{{rules}}}"))


def _told(each: Any) -> str:
    count = f"{each.agreeing} of {each.total} shapes agree"
    if not each.new:
        return f'keys of the file begin with "{each.old}.", and slots do not ({count})'
    if not each.old:
        return f'slots of the model begin with "{each.new}.", and keys do not ({count})'
    return f"{each.old} of the file looks like {each.new} of the model ({count})"


def _other_sizes(case: Case) -> Cause | None:
    """Say so where one of the two has more layers, or most shapes differ by the same size."""
    found = [each for each in (_depth(case), _width(case)) if each]
    if not found:
        return None
    told, wanted = zip(*found, strict=True)
    return Cause(
        "; ".join(told),
        f"model = {case.model}(...)  # with {' and '.join(wanted)}, as the file has",
    )


def _depth(case: Case) -> tuple[str, str] | None:
    found = [_list_of(key) for key in case.shapes(Outcome.UNEXPECTED)]
    found += [_list_of(key) for key in case.shapes(Outcome.MISSING)]
    for stem, _ in Counter(filter(None, found)).most_common(1):
        file, model = _layers(case.file, stem), _layers(case.slots, stem)
        if file and model and file != model:
            told = f"{stem} has {file} layers in the file and {model} in the model"
            return told, f"{file} layers in {stem}"
    return None


def _list_of(key: str) -> str:
    """Return the first list on the way to a key: what stands before its first index."""
    parts = key.split(".")
    at = next((at for at, part in enumerate(parts) if part.isdecimal()), 0)
    return ".".join(parts[:at])


def _layers(state: Mapping[str, Any], stem: str) -> int:
    start = f"{stem}."
    below = (key[len(start) :].partition(".")[0] for key in state if key.startswith(start))
    return len({part for part in below if part.isdecimal()})


def _width(case: Case) -> tuple[str, str] | None:
    rows = case.of(Outcome.SHAPE)
    pairs: Counter[tuple[int, int]] = Counter()
    for row in rows:
        if row.leaf and row.slot and len(row.leaf.shape) == len(row.slot.shape):
            axes = zip(row.leaf.shape, row.slot.shape, strict=True)
            pairs.update({(file, model) for file, model in axes if file != model})
    for (file, model), count in pairs.most_common(1):
        if count > 1 and count * 2 >= len(rows):
            told = f"{count} tensors are {file} wide in the file and {model} in the model"
            return told, f"{file} in place of {model}"
    return None


def _other_architecture(case: Case) -> Cause | None:
    """Say so where file and model have hardly a name in common."""
    common = sum(key in case.slots for key in case.file)
    if not case.file or not case.slots or common * 10 > min(len(case.file), len(case.slots)):
        return None
    keys = few_keys([row.key for row in case.of(Outcome.UNEXPECTED)], 2)
    return Cause(
        f"{common} of the file's {len(case.file)} names occur in {case.model}: it is of another "
        f"architecture ({keys})",
        "print(detect_layout(state_dict))",
    )


_FINDERS: tuple[Callable[[Case], Cause | None], ...] = (
    _training,
    _other_kind,
    _tied,
    _other_layout,
    _rows_or_biases,
    _renamed,
    _transposed,
    _other_sizes,
    _other_architecture,
)
