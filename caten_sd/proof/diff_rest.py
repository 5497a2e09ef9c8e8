"""What does not meet by name: what belongs together by contents, and what is on one side alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from caten_sd.proof.diff_by_name import Met, met_by_name
from caten_sd.proof.diff_contents import (
    Meeting,
    by_contents,
    row_of_meeting,
    with_equal_squares,
    with_near_squares,
)
from caten_sd.proof.diff_pieces import has_numbers, squares_of
from caten_sd.proof.diff_rows import DiffRow
from caten_sd.proof.likeness import Likeness
from caten_sd.proof.named_sizes import NamedSizes
from caten_sd.state.compare import same_bytes
from caten_sd.state.leaf import DENSE, Spec, spec_or_none
from caten_sd.state.state_dict import StateDict

_MOST_COPIES = 64  # tensors of one side alone that are looked for among the others of that side


def diff_rows(
    a: StateDict, b: StateDict, names: NamedSizes, *, quick: bool = False
) -> list[DiffRow]:
    """Return a row for each tensor of both: by its name first, then by its contents."""
    met = met_by_name(a, b, quick=quick)
    left = _left(a, b), _left(b, a)
    found = _by_contents(a, b, met, left, names)
    taken = {key for each in found for key in each.a}, {key for each in found for key in each.b}
    rows = [row for key, row in met.rows.items() if key not in taken[0] and key not in taken[1]]
    rows += map(row_of_meeting, found)
    kept = {row.key for row in rows if row.a == row.b}
    for state, other, used, likeness in (
        (a, b, taken[0], Likeness.ONLY_A),
        (b, a, taken[1], Likeness.ONLY_B),
    ):
        alone = [key for key in state if key not in used and not (key in kept and key in other)]
        rows += _alone(state, alone, likeness)
    return rows


def _left(state: StateDict, other: StateDict) -> dict[str, Any]:
    """Return the tensors with values whose keys the other does not have."""
    found = {}
    for key in state:
        known = spec_or_none(state[key]) if key not in other else None
        is_full = known is not None and known.has_values and known.form == DENSE
        if is_full and has_numbers(state[key]):
            found[key] = state[key]
    return found


def _by_contents(
    a: StateDict,
    b: StateDict,
    met: Met,
    left: tuple[Mapping[str, Any], Mapping[str, Any]],
    names: NamedSizes,
) -> list[Meeting]:
    """Return what belongs together by contents, of tensors alone and of those that are unlike."""
    here, there = _suspects(met, left)
    ones = {key: a[key] for key in dict.fromkeys([*left[0], *sorted(here), *met.reshaped])}
    others = {key: b[key] for key in dict.fromkeys([*left[1], *sorted(there), *met.reshaped])}
    return by_contents(ones, others, names)


def _suspects(met: Met, left: Sequence[Mapping[str, Any]]) -> tuple[set[str], set[str]]:
    """Return the keys of A and of B that changed and may have the values of another key."""
    if not met.squares:
        return set(), set()
    sums = [{key: squares_of(leaf) for key, leaf in side.items()} for side in left]
    every = [{k: both[n] for k, both in met.squares.items()} | sums[n] for n in (0, 1)]
    unlike = [{k: met.squares[k][n] for k in met.unlike} | sums[n] for n in (0, 1)]
    return (
        with_equal_squares(*every) | with_near_squares(*unlike),
        with_equal_squares(*reversed(every)) | with_near_squares(*reversed(unlike)),
    )


def _alone(state: StateDict, keys: Sequence[str], likeness: Likeness) -> Iterator[DiffRow]:
    """Yield the rows of tensors on one side alone, and of which other ones they are copies."""
    copies = _copies(state, keys) if len(keys) <= _MOST_COPIES else {}
    for key in keys:
        here, there = ((key,), ()) if likeness is Likeness.ONLY_A else ((), (key,))
        first = state.ties.get(key) or copies.get(key)
        yield DiffRow(key, likeness, here, there, f"the same bytes as {first}" if first else "")


def _copies(state: StateDict, keys: Sequence[str]) -> dict[str, str]:
    """Return for each of these keys another one of the same state that has its bytes."""
    wanted = {key: spec_or_none(state[key]) for key in keys}
    tables = {key: each for key, each in wanted.items() if each and len(each.shape) > 1}
    alike: dict[Spec, list[str]] = {each: [] for each in tables.values()}
    for key in state if tables else ():
        known = spec_or_none(state[key])
        if known in alike and known.has_values and known.form == DENSE:
            alike[known].append(key)
    found = {}
    for key, known in tables.items():
        others = (each for each in alike[known] if each != key)
        first = next((each for each in others if same_bytes(state[each], state[key])), None)
        if first is not None:
            found[key] = first
    return found
