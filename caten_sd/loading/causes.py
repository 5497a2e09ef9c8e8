"""Why a file does not fit a model, judged by names and shapes, and the one line that fixes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import attrs

from caten_sd.errors import CatenError
from caten_sd.errors.printable import escaped
from caten_sd.loading.file_kinds import KINDS
from caten_sd.loading.policy import exactly
from caten_sd.loading.renaming_guess import Renaming, renamings
from caten_sd.loading.report import LoadRow, Outcome
from caten_sd.mapping.detection import detect_layout
from caten_sd.state.grouping import few_keys
from caten_sd.state.quoting import python_literal
from caten_sd.state.state_dict import StateDict
from caten_sd.state.training_keys import is_training
from caten_sd.wording import counted

Shape = tuple[int, ...]


class Cause(NamedTuple):
    """What is likely wrong, and one line to paste that fixes it."""

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


def likely_cause(case: Case) -> Cause | None:
    """Return the first cause that the evidence supports, or None."""
    return next((found for find in _FINDERS if (found := find(case))), None)


def _load(options: str) -> str:
    return f"load_state_dict(model, state_dict, {options})"


def _training(case: Case) -> Cause | None:
    """Return a cause if the file is a whole training state and only the model is loaded."""
    if not is_training(case.file.keys()):
        return None
    return Cause(
        "the file is a training state: its model is under model., next to optimizer and step",
        'load_state_dict(model, read_state_dict("THE_FILE", root="model"))',
    )


def _other_kind(case: Case) -> Cause | None:
    """Return a cause if the file is an optimizer state, an adapter or quantized."""
    keys = [row.key for row in case.of(Outcome.UNEXPECTED)]
    for kind in KINDS:
        found = [key for key in keys if kind.pattern.search(key)]
        if found and len(found) >= kind.fraction * len(case.file):
            such = f"{counted(len(found), 'key')} such as {found[0]}"
            return Cause(kind.text.format(such), kind.fix)
    return None


def _other_layout(case: Case) -> Cause | None:
    """Return a cause if file and model are in two layouts."""
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
        f"the file is in the layout {there.name} and the model in {here.name}: they differ in "
        f"names, or in the orientation of matrices",
        f'load_state_dict(model, to_layout(state_dict, "{here.name}"))',
    )


def _layout(state: StateDict) -> Any:
    try:
        return detect_layout(state).layout
    except CatenError:
        return None


def _tied(case: Case) -> Cause | None:
    """Return which of several tied names can be left out if their values differ."""
    rows = case.of(Outcome.CONFLICT)
    if not rows:
        return None
    return Cause(
        f"{rows[0].key} is the same tensor as another slot of {case.model}, and the file has two "
        f"values for it",
        _load(f"on_mismatch={{{python_literal(exactly(rows[0].key))}: skip}}"),
    )


def _vocabulary(case: Case) -> Cause | None:
    """Return how many rows of a vocabulary differ, and whether the file has no biases at all."""
    rows = case.of(Outcome.SHAPE)
    lengths = [_row_counts(row) for row in rows]
    if not 0 < len(rows) <= 4 or not all(lengths):
        return None
    texts, repairs = [], {}
    for row, (file, model) in zip(rows, filter(None, lengths), strict=True):
        which = f"{counted(abs(file - model), 'row')} {'more' if file > model else 'fewer'}"
        texts.append(f"{row.key} has {which} in the file ({file}) than in the model ({model})")
        repairs[exactly(row.key)] = "trim_rows()" if file > model else "pad_rows()"
    if any(max(each) % 64 == 0 for each in lengths if each):
        texts[-1] += ", which looks like a vocabulary padded to a multiple of 64"
    missing = [row.key for row in case.of(Outcome.MISSING)]
    if missing and all(key.endswith("bias") for key in missing):
        texts.append(counted(len(missing), "bias is absent", "biases are absent"))
        repairs["*bias"] = "fill(0.0)"
    listed = ", ".join(f"{python_literal(key)}: {repair}" for key, repair in repairs.items())
    return Cause("; ".join(texts), _load(f"on_mismatch={{{listed}}}"))


def _row_counts(row: LoadRow) -> tuple[int, int] | None:
    """Return the rows of two matrices, the file's and the model's, if nothing else differs."""
    file, model = (row.leaf.shape if row.leaf else ()), (row.slot.shape if row.slot else ())
    same = len(file) == len(model) == 2 and file[1] == model[1]
    return (file[0], model[0]) if same else None


def _transposed(case: Case) -> Cause | None:
    """Return a cause if matrices are transposed, in a layout that is not known."""
    rows = case.of(Outcome.SHAPE)
    found = [row.key for row in rows if _is_transposed(row)]
    if not found or len(found) * 2 < len(rows):
        return None
    matrices = counted(len(found), "matrix is", "matrices are")
    return Cause(
        f"{matrices} transposed in the file ({few_keys(found, 2)}); square matrices may be too, "
        f"which their shape cannot show",
        'Layout("mine", [Row("{part}.weight", "{part}.weight", Transpose())])  # one row for each',
    )


def _is_transposed(row: LoadRow) -> bool:
    return bool(row.leaf and row.slot and row.leaf.shape == row.slot.shape[::-1])


def _renamed(case: Case) -> Cause | None:
    """Return the rules that would turn keys of the file into slots of the model."""
    file, model = case.shapes(Outcome.UNEXPECTED), case.shapes(Outcome.MISSING)
    found = renamings(file, model)
    agreeing = sum(each.agreeing for each in found)
    if not found or agreeing * 2 < min(len(file), len(model)):
        return None
    texts = [_renaming_text(each) for each in found[:3]]
    rules = ", ".join(f"{python_literal(each.old)}: {python_literal(each.new)}" for each in found)
    return Cause("; ".join(texts), _load(f"rename={{{rules}}}"))


def _renaming_text(each: Renaming) -> str:
    agree = "agrees" if each.agreeing == 1 else "agree"
    evidence = f"{each.agreeing:,} of {counted(each.total, 'shape')} {agree}"
    if not each.new:
        return f'keys of the file begin with "{each.old}.", and slots do not ({evidence})'
    if not each.old:
        return f'slots of the model begin with "{each.new}.", and keys do not ({evidence})'
    return f"{each.old} of the file looks like {each.new} of the model ({evidence})"


def _other_sizes(case: Case) -> Cause | None:
    """Return a cause if one side has more layers, or if most shapes differ by the same size."""
    found = [each for each in (_depth(case), _width(case)) if each]
    if not found:
        return None
    texts, wanted = zip(*found, strict=True)
    return Cause(
        "; ".join(texts),
        escaped(f"model = {case.model}(...)  # with {' and '.join(wanted)}, as the file has"),
    )


def _depth(case: Case) -> tuple[str, str] | None:
    found = [_list_of(key) for key in case.shapes(Outcome.UNEXPECTED)]
    found += [_list_of(key) for key in case.shapes(Outcome.MISSING)]
    for stem, _ in Counter(filter(None, found)).most_common(1):
        file, model = _layers(case.file, stem), _layers(case.slots, stem)
        if file and model and file != model:
            layers = counted(file, "layer")
            text = f"{stem} has {layers} in the file and {model} in the model"
            return text, f"{layers} in {stem}"
    return None


def _list_of(key: str) -> str:
    """Return the path of the first list in a key: all segments before its first index."""
    segments = key.split(".")
    at = next((at for at, segment in enumerate(segments) if segment.isdecimal()), 0)
    return ".".join(segments[:at])


def _layers(state: Mapping[str, Any], stem: str) -> int:
    start = f"{stem}."
    below = (key[len(start) :].partition(".")[0] for key in state if key.startswith(start))
    return len({segment for segment in below if segment.isdecimal()})


def _width(case: Case) -> tuple[str, str] | None:
    rows = case.of(Outcome.SHAPE)
    pairs: Counter[tuple[int, int]] = Counter()
    for row in rows:
        if row.leaf and row.slot and len(row.leaf.shape) == len(row.slot.shape):
            axes = zip(row.leaf.shape, row.slot.shape, strict=True)
            pairs.update({(file, model) for file, model in axes if file != model})
    for (file, model), count in pairs.most_common(1):
        if count > 1 and count * 2 >= len(rows):
            tensors = counted(count, "tensor is", "tensors are")
            text = f"{tensors} {file} wide in the file and {model} in the model"
            return text, f"{file} in place of {model}"
    return None


def _other_architecture(case: Case) -> Cause | None:
    """Return a cause if file and model have hardly any name in common."""
    common = sum(key in case.slots for key in case.file)
    if not case.file or not case.slots or common * 10 > min(len(case.file), len(case.slots)):
        return None
    keys = few_keys([row.key for row in case.of(Outcome.UNEXPECTED)], 2)
    names, occur = counted(len(case.file), "name"), "occurs" if common == 1 else "occur"
    return Cause(
        f"{common} of the file's {names} {occur} in {case.model}: it is of another architecture "
        f"({keys})",
        "print(detect_layout(state_dict))",
    )


_FINDERS: tuple[Callable[[Case], Cause | None], ...] = (
    _training,
    _other_kind,
    _tied,
    _other_layout,
    _vocabulary,
    _renamed,
    _transposed,
    _other_sizes,
    _other_architecture,
)
