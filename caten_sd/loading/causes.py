"""Why a file does not fit a model, judged by names and shapes, and the one line that fixes it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from caten_sd.errors import CatenError
from caten_sd.loading.file_kinds import KINDS
from caten_sd.loading.file_trees import counted_from_elsewhere, several_trees, trees, without_names
from caten_sd.loading.joined_projections import joined_projections
from caten_sd.loading.kernels import flax_kernels
from caten_sd.loading.misfit import Case, Cause, Shape
from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.loading.normed_slots import normed_slots
from caten_sd.loading.normed_weights import normed_weights, parts_of_norms
from caten_sd.loading.orientation import turned_matrices, unit_axes
from caten_sd.loading.policy import exactly
from caten_sd.loading.raw_elements import raw_elements
from caten_sd.loading.rename_trial import line_if_settled, names_settle
from caten_sd.loading.renaming_guess import Renaming, renamings
from caten_sd.loading.report import Outcome
from caten_sd.loading.segments import inserted_segment
from caten_sd.loading.separators import spelled_otherwise
from caten_sd.loading.shape_signatures import by_shapes
from caten_sd.loading.vocabulary_rows import vocabulary
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.state.grouping import few_keys
from caten_sd.state.keys import INDEX_SEGMENT
from caten_sd.state.packed_weights import is_packed
from caten_sd.state.quoting import python_literal
from caten_sd.state.state_dict import StateDict
from caten_sd.state.training_keys import is_training
from caten_sd.wording import counted


def likely_cause(case: Case) -> Cause | None:
    """Return the first cause that the evidence supports, or None."""
    return next((found for find in _FINDERS if (found := find(case))), None)


def _training(case: Case) -> Cause | None:
    """Return a cause if the file is a whole training state and only the model is loaded."""
    if not is_training(case.file.keys()):
        return None
    return Cause(
        "the file is a training state: its model is under model., next to optimizer and step, and "
        'read_state_dict with root="model" reads it alone',
        line_if_settled(case, {"model": ""}),
    )


def _other_kind(case: Case) -> Cause | None:
    """Return a cause if the file is an optimizer state, an adapter or quantized."""
    keys = [row.key for row in case.of(Outcome.UNEXPECTED)]
    for kind in KINDS:
        found = [key for key in keys if kind.pattern.search(key)]
        if kind.is_packed and not any(map(is_packed, case.file.values())):
            continue
        if found and len(found) >= kind.fraction * len(case.file):
            such = f"{counted(len(found), 'key')} such as {found[0]}"
            return Cause(kind.text.format(such), "")
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
    line = f'load_state_dict(model, to_layout(state_dict, "{here.name}"))'
    return Cause(
        f"the file is in the layout {there.name} and the model in {here.name}: they differ in "
        f"names, or in the orientation of matrices",
        line if _is_settled_by(case, here) else "",
    )


def _is_settled_by(case: Case, layout: Any) -> bool:
    """Return whether the file fits in another layout; its sizes may differ, too."""
    try:
        leaves = to_layout(case.file, layout.name, silent=True)
    except CatenError:
        return False
    return names_settle(case, NamedLeaves(leaves))


def _layout(state: StateDict) -> Any:
    try:
        return detect_layout(state).layout
    except CatenError:
        return None


def _tied(case: Case) -> Cause | None:
    """Return which tied name has a value of its own in the file.

    Which of the two is meant is not in the file, so there is no line to paste.
    """
    rows = case.of(Outcome.CONFLICT)
    if not rows:
        return None
    key = rows[0].key
    return Cause(
        f"{key} is the same tensor as {case.slots.ties.get(key, 'another slot')} of {case.model}, "
        f"and the file has two values for it: load it into a model that does not tie them, or "
        f"leave one out with on_mismatch={{{python_literal(exactly(key))}: skip}}",
        "",
    )


def _renamed(case: Case) -> Cause | None:
    """Return the rules that would turn keys of the file into slots of the model."""
    model, parts = case.shapes(Outcome.MISSING), parts_of_norms(case)
    file = {k: shape for k, shape in case.shapes(Outcome.UNEXPECTED).items() if k not in parts}
    found = _whole_tree(case) or renamings(file, model)
    agreeing = sum(each.agreeing for each in found)
    if not found or agreeing * 2 < min(len(file), len(model)):
        return None
    texts = [_renaming_text(each) for each in found[:3]]
    if unsure := next((each for each in found if _hides_a_transposition(each, file)), None):
        square = f"{unsure.old} is square, so its shape cannot tell whether it is transposed"
        return Cause("; ".join([*texts, square]), "")
    fix = line_if_settled(case, {each.old: each.new for each in found})
    more = [] if fix else ["other names or shapes differ, too"]
    return Cause("; ".join([*texts, *more]), fix)


def _whole_tree(case: Case) -> list[Renaming]:
    """Return the one prefix under which the file has all of the model, whatever it consists of."""
    roots = trees(case.file_shapes, case.slot_shapes)
    if len(roots) != 1 or "{" in roots[0]:
        return []
    return [Renaming(roots[0], "", len(case.slots), len(case.slots))]


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
    """Return a cause if one side has more layers, or if most shapes differ by the same size.

    Which argument of the model says so is not known, so there is no line to paste.
    """
    found = [each for each in (_depth(case), _width(case)) if each]
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


def _other_names(case: Case) -> Cause | None:
    """Return a cause if file and model have hardly any name in common."""
    common = sum(key in case.slots for key in case.file)
    if not case.file or not case.slots or common * 10 > min(len(case.file), len(case.slots)):
        return None
    keys = few_keys([row.key for row in case.of(Outcome.UNEXPECTED)], 2)
    if len(case.file) == 1:
        return Cause(f"the file has one name, which {case.model} does not have ({keys})", "")
    names, occur = f"the file's {len(case.file):,} names", "occurs" if common == 1 else "occur"
    return Cause(f"{common} of {names} {occur} in {case.model} ({keys})", "")


_FINDERS: tuple[Callable[[Case], Cause | None], ...] = (
    _training,
    _other_kind,
    _tied,
    raw_elements,
    _other_layout,
    normed_weights,
    normed_slots,
    several_trees,
    vocabulary,
    flax_kernels,
    spelled_otherwise,
    counted_from_elsewhere,
    without_names,
    inserted_segment,
    joined_projections,
    _renamed,
    turned_matrices,
    unit_axes,
    by_shapes,
    _other_sizes,
    _other_names,
)
