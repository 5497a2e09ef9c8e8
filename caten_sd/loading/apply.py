"""Carry out a plan, whole or not at all, and report what the casts have lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from caten_sd.errors import LoadError
from caten_sd.loading.moves import How, Move, Moves
from caten_sd.loading.report import LoadPlan, LoadReport, LoadRow, Outcome, require_loadable
from caten_sd.objects.shards import ProcessGroup, agreeing, local_shard, process_group_of
from caten_sd.state.compare import is_exact, largest_error
from caten_sd.state.gc_pause import collector_paused
from caten_sd.state.leaf import spec


@collector_paused()
def apply(plan: LoadPlan, moves: Moves, *, unchanged: bool) -> tuple[LoadReport, Any]:
    """Refuse the plan or make its moves; then measure what the casts have lost.

    Unless the object is known to be ``unchanged`` since the plan was made, that is checked first.
    Returns the object with the report: the one that was given, or a copy that the moves made.
    """
    processes = process_group_of(moves.target.slots.values())
    agreed = [(row.key, row.outcome.value, row.source) for row in plan.rows] if processes else None
    with _attaching(plan):
        with agreeing(processes, agreed):
            require_loadable(plan)
            if not unchanged:
                moves.target.refuse_changes({row.key: row.slot for row in plan.rows})
            prepared = moves.prepared()
        replaced = {move.key: move.leaf for move in prepared if move.how is How.REPLACE}
        target = moves.carry_out(prepared)
    now = {**target.slots.entry, **replaced}
    rows = _with_errors(plan, moves.moves, now)
    rows = _over_processes(rows, processes) if processes else rows
    report = LoadReport(plan.model, rows, plan.notes, plan.cause, plan.fix)
    target.after_load(report)
    return report, target.obj


@contextlib.contextmanager
def _attaching(plan: LoadPlan) -> Iterator[None]:
    """Attach the plan to a LoadError of the body."""
    try:
        yield
    except LoadError as error:
        error.plan = plan
        raise


def _with_errors(
    plan: LoadPlan, moves: Sequence[Move], now: Mapping[str, Any]
) -> Sequence[LoadRow]:
    """Return the rows with the largest error of each cast that may change a value."""
    casts = {row.key for row in plan.of(Outcome.CAST) if row.leaf is not None}
    if not casts:
        return plan.rows
    moved = {move.key: move for move in moves if move.key in casts}
    return [
        _with_error(row, moved[row.key].leaf, now[row.key]) if row.key in moved else row
        for row in plan.rows
    ]


def _with_error(row: LoadRow, leaf: Any, now: Any) -> LoadRow:
    if row.leaf is None or is_exact(row.leaf.dtype, spec(now).dtype):
        return row
    shard = local_shard(now)
    try:
        error = largest_error(shard.slice_of(leaf), shard.place)
    except Exception:  # numpy cannot hold one of the two, and everything is loaded by now
        return row._replace(note="; ".join(filter(None, [row.note, "error not measured"])))
    return row._replace(error=error)


def _over_processes(rows: Sequence[LoadRow], processes: ProcessGroup) -> list[LoadRow]:
    """Return the rows with the largest error over all processes; each knows that of its shard."""
    known = [row.error for row in rows if row.error is not None]
    largest = iter(processes.largest(known))
    return [row if row.error is None else row._replace(error=next(largest)) for row in rows]
