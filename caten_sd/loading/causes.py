"""Why a file does not fit a model, judged by names and shapes, and the one line that fixes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from caten_sd.errors import CatenError
from caten_sd.loading.file_kinds import KINDS
from caten_sd.loading.file_trees import counted_from_elsewhere, several_trees, trees, without_names
from caten_sd.loading.joined_projections import joined_projections
from caten_sd.loading.kernels import flax_kernels
from caten_sd.loading.misfit import Case, Cause, rename_line
from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.loading.normed_slots import normed_slots
from caten_sd.loading.normed_weights import normed_weights, parts_of_norms
from caten_sd.loading.number_places import numbers_elsewhere
from caten_sd.loading.orientation import joined_axes, turned_matrices, unit_axes
from caten_sd.loading.other_sizes import other_sizes
from caten_sd.loading.other_world import other_world
from caten_sd.loading.packed_slots import packed_slots
from caten_sd.loading.policy import exactly
from caten_sd.loading.raw_elements import raw_elements
from caten_sd.loading.rename_trial import doubt_about, line_if_settled, names_settle
from caten_sd.loading.renaming_guess import Renaming, hides_a_transposition, renamings
from caten_sd.loading.report import Outcome
from caten_sd.loading.segments import inserted_segment
from caten_sd.loading.separators import spelled_otherwise
from caten_sd.loading.shape_signatures import by_shapes
from caten_sd.loading.vocabulary_rows import vocabulary
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.mapping.suggested_rows import suggestions
from caten_sd.state.grouping import few_keys
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
    if not is_training(case.file.keys()) or is_training(case.slots.keys()):
        return None
    return Cause(
        "the file is a training state: its model is under model., next to optimizer and step, and "
        'root="model" or --root model reads it alone',
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
    there = _layout(case.file)
    here = there and _layout(case.slots, there)
    if here is None or there is None or here.name == there.name:
        return None
    if here.architecture != there.architecture:
        return Cause(
            f"the file is {there.architecture}, in the layout {there.name}, and the model is "
            f"{here.architecture}, in {here.name}",
            "",
        )
    text = (
        f"the file is in the layout {there.name} and the model in {here.name}: they differ in "
        f"names, or in the orientation of matrices"
    )
    try:
        converted = to_layout(case.file, here.name, silent=True)
    except CatenError:
        return Cause(text, "")
    if names_settle(case, NamedLeaves(converted)):
        return Cause(text, f'load_state_dict(model, to_layout(state_dict, "{here.name}"))')
    return Cause(f"{text}{_sizes_that_differ(case, converted)}", "")


def _sizes_that_differ(case: Case, converted: StateDict) -> str:
    """Return which sizes differ from the model's in its layout, too; "" if none does."""
    slots = case.slot_shapes
    rows = [
        (key, tuple(leaf.shape))
        for key, leaf in converted.items()
        if key in slots and slots[key] != tuple(leaf.shape)
    ]
    if not rows:
        return ""
    key, shape = rows[0]
    return (
        f"; their sizes differ, too: {counted(len(rows), 'tensor')} in {case.model}'s layout, such "
        f"as {key}: file {list(shape)}, model {list(slots[key])}"
    )


def _layout(state: StateDict, source: Layout | None = None) -> Any:
    """Return the layout, of several that match equally well the one that ``source`` converts to."""
    try:
        found = detect_layout(state)
        return found.decided(source) if source else found.layout
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
    if unsure := next((each for each in found if hides_a_transposition(each, file)), None):
        square = f"{unsure.old} is square, so its shape cannot tell whether it is transposed"
        return Cause("; ".join([*texts, square]), "")
    rules = {each.old: each.new for each in found}
    doubt = doubt_about(case, rules)
    return Cause(
        "; ".join([*texts, doubt] if doubt else texts), "" if doubt else rename_line(rules)
    )


def _whole_tree(case: Case) -> list[Renaming]:
    """Return the one prefix under which the file has all of the model, whatever it consists of."""
    roots = trees(case.file_shapes, case.slot_shapes)
    if len(roots) != 1 or "{" in roots[0]:
        return []
    return [Renaming(roots[0], "", len(case.slots), len(case.slots))]


def _renaming_text(each: Renaming) -> str:
    agree = "agrees" if each.agreeing == 1 else "agree"
    evidence = f"{each.agreeing:,} of {counted(each.total, 'shape')} {agree}"
    if not each.new:
        return f'keys of the file begin with "{each.old}.", and slots do not ({evidence})'
    if not each.old:
        return f'slots of the model begin with "{each.new}.", and keys do not ({evidence})'
    return f"{each.old} of the file looks like {each.new} of the model ({evidence})"


def _other_names(case: Case) -> Cause | None:
    """Return a cause if file and model have hardly any name in common."""
    common = sum(key in case.slots for key in case.file)
    if not case.file or not case.slots or common * 10 > min(len(case.file), len(case.slots)):
        return None
    unexpected = case.of(Outcome.UNEXPECTED)
    if not unexpected:  # each has a slot under another name
        return None
    keys = few_keys([row.key for row in unexpected], 2)
    if len(case.file) == 1:
        return Cause(f"the file has one name, which {case.model} does not have ({keys})", "")
    names, occur = f"the file's {len(case.file):,} names", "occurs" if common == 1 else "occur"
    return Cause(f"{common} of {names} {occur} in {case.model} ({keys}){_alike(case)}", "")


def _alike(case: Case) -> str:
    """Return which names are alike by shapes and words, if those of most tensors are, else ""."""
    found = suggestions(case.file_shapes, case.slot_shapes)
    count = sum(each.a.tensors for each in found.pairs)
    if count < 4 or count * 2 < min(len(case.file_shapes), len(case.slot_shapes)):
        return ""
    best = max(found.pairs, key=lambda each: (each.told, each.score))
    return (
        f"; by shapes and words, {counted(count, 'name')} may have a counterpart, as {best.a.text} "
        f"in {best.b.text}: suggest(state_dict, model), or caten-sd suggest, drafts a layout to be "
        f"corrected"
    )


_FINDERS: tuple[Callable[[Case], Cause | None], ...] = (
    _training,
    _other_kind,
    packed_slots,
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
    numbers_elsewhere,
    joined_projections,
    other_world,
    _renamed,
    turned_matrices,
    unit_axes,
    by_shapes,
    joined_axes,
    other_sizes,
    _other_names,
)
