"""Why a file does not fit a model, judged by names and shapes, and the one line that fixes it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from caten_sd.errors import CatenError
from caten_sd.errors.printable import escaped
from caten_sd.loading.file_kinds import KINDS
from caten_sd.loading.file_trees import counted_from_elsewhere, several_trees, without_names
from caten_sd.loading.joined_projections import joined_projections
from caten_sd.loading.misfit import Case, Cause, Shape
from caten_sd.loading.normed_weights import normed_weights, parts_of_norms
from caten_sd.loading.orientation import flax_kernels, turned_matrices, unit_axes
from caten_sd.loading.policy import exactly
from caten_sd.loading.raw_elements import raw_elements
from caten_sd.loading.renaming_guess import Renaming, renamings
from caten_sd.loading.report import LoadRow, Outcome
from caten_sd.mapping.detection import detect_layout
from caten_sd.state.grouping import few_keys
from caten_sd.state.quoting import python_literal
from caten_sd.state.state_dict import StateDict
from caten_sd.state.training_keys import is_training
from caten_sd.wording import counted


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
            "",
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


def _renamed(case: Case) -> Cause | None:
    """Return the rules that would turn keys of the file into slots of the model."""
    model, parts = case.shapes(Outcome.MISSING), parts_of_norms(case)
    file = {k: shape for k, shape in case.shapes(Outcome.UNEXPECTED).items() if k not in parts}
    found = renamings(file, model)
    agreeing = sum(each.agreeing for each in found)
    if not found or agreeing * 2 < min(len(file), len(model)):
        return None
    texts = [_renaming_text(each) for each in found[:3]]
    if unsure := next((each for each in found if _hides_a_transposition(each, file)), None):
        square = f"{unsure.old} is square, so its shape cannot tell whether it is transposed"
        return Cause("; ".join([*texts, square]), "")
    rules = ", ".join(f"{python_literal(each.old)}: {python_literal(each.new)}" for each in found)
    return Cause("; ".join(texts), _load(f"rename={{{rules}}}"))


def _hides_a_transposition(each: Renaming, file: Mapping[str, Shape]) -> bool:
    """Return whether a rule gives square matrices another last name, as kernel for weight."""
    old, new = each.old.split("."), each.new.split(".")
    if old[-1] == new[-1]:
        return False
    whole = re.compile(r"\.".join(r"\d+" if "{" in part else re.escape(part) for part in old))
    return any(
        len(shape) > 1 and shape == shape[::-1] and whole.fullmatch(key)
        for key, shape in file.items()
    )


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


def _other_names(case: Case) -> Cause | None:
    """Return a cause if file and model have hardly any name in common."""
    common = sum(key in case.slots for key in case.file)
    if not case.file or not case.slots or common * 10 > min(len(case.file), len(case.slots)):
        return None
    keys = few_keys([row.key for row in case.of(Outcome.UNEXPECTED)], 2)
    names, occur = counted(len(case.file), "name"), "occurs" if common == 1 else "occur"
    return Cause(f"{common} of the file's {names} {occur} in {case.model} ({keys})", "")


_FINDERS: tuple[Callable[[Case], Cause | None], ...] = (
    _training,
    _other_kind,
    _tied,
    raw_elements,
    _other_layout,
    normed_weights,
    several_trees,
    _vocabulary,
    flax_kernels,
    counted_from_elsewhere,
    without_names,
    joined_projections,
    _renamed,
    turned_matrices,
    unit_axes,
    _other_sizes,
    _other_names,
)
