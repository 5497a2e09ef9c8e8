"""Rename from the canonical names to a layout's, and note what the reader of the result needs."""

from __future__ import annotations

from caten_sd.mapping.axis_sizes import Numbers
from caten_sd.mapping.companions import expanded
from caten_sd.mapping.findings import Findings
from caten_sd.mapping.gathered import Item
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.overlap import overlap
from caten_sd.mapping.rows import Lacks, Row
from caten_sd.mapping.rule_run import run_rules
from caten_sd.mapping.rules import Rule, Side, canonical, lacking
from caten_sd.state.derivation import is_padded, rounds, turns_square
from caten_sd.state.same_place import same_place
from caten_sd.state.state_dict import OURS


def write_canonical(
    origin: Layout,
    target: Layout,
    items: list[Item],
    lookup: Numbers,
    findings: Findings,
    *,
    prefix: str | None = None,
) -> tuple[list[Item], dict[str, str]]:
    """Return the items under the target's names, and metadata for their reader.

    What is found is added to ``findings``.
    """
    side = target.writing_with(prefix)
    left_out, metadata = _ties(side, items, findings)
    kept = [item for item in items if item.foreign or item.key not in left_out]
    unread = {name for row in findings.idle for name in row.canonical_names}
    run = run_rules(target.name, side, kept, lookup)
    made = expanded(run.items, target.separator)
    names = {item.key: _names(item, target) for item in run.items if item.foreign}
    findings.untaken += [key for name in run.untaken for key in names[name]]
    findings.dropped.update(run.dropped)
    findings.idle = [row for row in findings.idle if not _is_lacking(target, row)]
    rows = [rule.row for rule in run.idle(side) if not _is_lacking(origin, rule.row)]
    accounted = unread | left_out
    findings.idle += [row for row in rows if accounted.isdisjoint(row.canonical_names)]
    findings.padded += [item.key for item in made if is_padded(item.leaf)]
    findings.square += [item.key for item in made if turns_square(item.leaf)]
    findings.rounded += [item.key for item in made if rounds(item.leaf)]
    return made, metadata


def _names(item: Item, target: Layout) -> list[str]:
    return [each.key for each in expanded([item], target.separator)]


def _is_lacking(layout: Layout, row: Row) -> bool:
    """Return whether a layout declares that it lacks a canonical name of a row."""
    names = [lacking(each) for each in layout.rows if isinstance(each, Lacks)]
    return any(overlap(name, known) for name in names for known in canonical(row))


def _ties(side: Side, items: list[Item], findings: Findings) -> tuple[set[str], dict[str, str]]:
    """Return the names that the target leaves out as tied, and metadata for those not tied."""
    leaves = {item.key: item.leaf for item in items if not item.foreign}
    left_out, metadata = set(), {}
    for rule in side.rules:
        name, first = rule.inputs[0].text, rule.row.tied
        if not first or name not in leaves or first not in leaves:
            continue
        if same_place(leaves[name], leaves[first]):
            left_out.add(name)
            findings.tied[name] = first
        elif rule.row.untied is not None:
            entry, value = rule.row.untied
            metadata[OURS + entry] = str(value).lower()
            findings.hints.append(_hint(rule, f"{entry}={value}"))
    return left_out, metadata


def _hint(rule: Rule, entry: str) -> str:
    return (
        f"{rule.outputs[0].text} is stored as a tensor separate from {rule.row.tied}; set {entry} "
        f"in the model's configuration"
    )
