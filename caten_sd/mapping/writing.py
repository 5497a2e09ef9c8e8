"""From the canonical names to a layout's, and what the reader of the result must be told."""

from __future__ import annotations

from caten_sd.mapping.axis_sizes import Numbers
from caten_sd.mapping.findings import Findings
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rule_run import Item, RuleRun
from caten_sd.mapping.rules import Rule
from caten_sd.state.derived import rounds, turns_square
from caten_sd.state.same_place import same_place

HINT = "caten_sd."  # what a metadata key of ours begins with


def write_canonical(
    target: Layout, items: list[Item], lookup: Numbers, findings: Findings
) -> tuple[list[Item], dict[str, str]]:
    """Return the items in the target's names, with what its reader must be told."""
    walk = RuleRun(target.name, target.writing, lookup)
    kept, metadata = _without_ties(target, items, walk, findings)
    unread = {name for row in findings.idle for name in row.canonical_names}
    result = walk.run(kept)
    findings.untaken += walk.untaken
    idle = [rule.row for rule in walk.idle()]
    findings.idle += [row for row in idle if unread.isdisjoint(row.canonical_names)]
    findings.square += [item.key for item in result if turns_square(item.leaf)]
    findings.rounded += [item.key for item in result if rounds(item.leaf)]
    return result, metadata


def _without_ties(
    target: Layout, items: list[Item], walk: RuleRun, findings: Findings
) -> tuple[list[Item], dict[str, str]]:
    """Leave out what the target ties by leaving it out, and tell where it is not tied."""
    leaves = {item.key: item.leaf for item in items if not item.foreign}
    left_out, metadata = set(), {}
    for rule in target.writing.rules:
        name, first = rule.inputs[0].text, rule.row.tied
        if not first or name not in leaves or first not in leaves:
            continue
        if same_place(leaves[name], leaves[first]):
            left_out.add(name)
            walk.fired.add(id(rule))
            findings.tied[name] = first
        elif rule.row.untied is not None:
            entry, value = rule.row.untied
            metadata[HINT + entry] = str(value).lower()
            findings.hints.append(_hint(rule, f"{entry}={value}"))
    return [item for item in items if item.foreign or item.key not in left_out], metadata


def _hint(rule: Rule, entry: str) -> str:
    return (
        f"{rule.outputs[0].text} is a tensor of its own beside {rule.row.tied}: "
        f"set {entry} in the model's configuration"
    )
