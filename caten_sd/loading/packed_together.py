"""Packed weights of a model: what a file has of one is loaded with all that belongs to it, or not.

New scales next to old packed values, or the other way round, would be other weights than those of
either side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caten_sd.loading.report import COPIED, Outcome
from caten_sd.loading.slot_matcher import PlannedRow
from caten_sd.state.packed_weights import packed_groups

_LOST = {Outcome.MISSING, Outcome.SHAPE, Outcome.DTYPE, Outcome.UNREAD, Outcome.CONFLICT}


def kept_together(rows: Sequence[PlannedRow], slots: Mapping[str, object]) -> list[PlannedRow]:
    """Return the rows; of a packed weight that is not loaded as a whole, nothing is loaded."""
    lost = {row.key: row.outcome for row, _ in rows if row.outcome in _LOST}
    if not lost:
        return list(rows)
    torn: dict[str, str] = {}
    for weight, others in packed_groups(slots).items():
        whole = [weight, *others]
        first = next((key for key in whole if key in lost), None)
        if first is not None:
            torn.update(dict.fromkeys(whole, first))
    return [_kept(each, torn, lost) for each in rows]


def _kept(each: PlannedRow, torn: Mapping[str, str], lost: Mapping[str, Outcome]) -> PlannedRow:
    row = each.row
    if row.outcome not in COPIED or row.key not in torn:
        return each
    why = "is not in the file" if lost[torn[row.key]] is Outcome.MISSING else "does not fit"
    note = (
        f"it is packed with {torn[row.key]}, which {why}: load all of a packed weight, or a model "
        f"that is not quantized"
    )
    return PlannedRow(row._replace(outcome=Outcome.UNASSIGNABLE, note=note))
