"""The likely cause of a diff, where its rows leave only one: fewer layers, or another training."""

from __future__ import annotations

from collections.abc import Sequence

from caten_sd.proof.diff_rows import DiffRow
from caten_sd.proof.key_indices import indexed
from caten_sd.proof.likeness import Likeness

_UNRELATED = 0.1  # a cosine of two matrices that have nothing to do with each other is below it
_LEAST = 1024  # elements of a tensor whose cosine tells that
_MOST_OF = 0.9  # of the elements that were compared


def likely_cause(rows: Sequence[DiffRow]) -> str:
    """Return the cause that the rows show, or "" where they show none."""
    for shorter, longer, alone in (("B", "A", Likeness.ONLY_A), ("A", "B", Likeness.ONLY_B)):
        if cause := _fewer_layers(rows, alone, shorter, longer):
            return cause
    return _other_training(rows)


def _fewer_layers(rows: Sequence[DiffRow], alone: Likeness, shorter: str, longer: str) -> str:
    """Return that one side ends some layers earlier, if that is all that is on one side alone."""
    other = Likeness.ONLY_B if alone is Likeness.ONLY_A else Likeness.ONLY_A
    lacking = [indexed(row.key) for row in rows if row.likeness is alone]
    if not lacking or any(row.likeness is other for row in rows):
        return ""
    if not all(each.numbers for each in lacking):
        return ""
    shared = [indexed(row.key) for row in rows if row.likeness is not alone]
    there = {each.numbers[0] for each in lacking}
    templates = {each.template for each in lacking}
    kept = {each.numbers[0] for each in shared if each.template in templates and each.numbers}
    first = min(there)
    if not kept or kept != set(range(first)) or there != set(range(first, first + len(there))):
        return ""
    count = first + len(there)
    return f"{shorter} ends after {first:,} of the {count:,} layers that {longer} has"


def _other_training(rows: Sequence[DiffRow]) -> str:
    """Return that hardly a tensor is like its namesake, if that is so."""
    changes = [row.change for row in rows if row.change and row.a == row.b]
    same = sum(row.likeness.is_same for row in rows)
    large = [each for each in changes if each.elements >= _LEAST]
    unlike = [each for each in large if abs(each.cosine) < _UNRELATED]
    total = sum(each.elements for each in changes)
    if 2 * same > len(rows) or not unlike:
        return ""
    if sum(each.elements for each in unlike) < _MOST_OF * total:
        return ""
    return (
        f"the tensors have the same shapes and unrelated values (cosine at most "
        f"{max(abs(each.cosine) for each in unlike):.2f}), as after training from another seed"
    )
