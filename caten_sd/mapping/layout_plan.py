"""Convert from one layout to another through the canonical names, in order, reading no data.

A layout is applied once: its name is stored in the metadata. Where it is not there, the layout is
detected with evidence, or the caller has to name it. Orientation is never inferred from a shape;
shapes are only checked against those that the layout declares.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import attrs

from caten_sd.errors import LayoutError, LayoutWarning
from caten_sd.errors.caller import caller_level
from caten_sd.mapping.axis_sizes import Numbers
from caten_sd.mapping.companions import refuse_parted
from caten_sd.mapping.detection import Detection, detect_layout
from caten_sd.mapping.extension import ARCHITECTURE
from caten_sd.mapping.findings import Findings
from caten_sd.mapping.gathered import Item
from caten_sd.mapping.gguf_numbers import described
from caten_sd.mapping.known import find_layout, known_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.patterns import joined_paths
from caten_sd.mapping.reading import Reading, items_of, read_canonical
from caten_sd.mapping.refusals import refuse_excluded, refuse_read, refuse_unrelated
from caten_sd.mapping.rows import Row
from caten_sd.mapping.self_description import config_for, stated_numbers
from caten_sd.mapping.trim_record import RECORD, record_of, with_record
from caten_sd.mapping.unmatched_keys import refuse_unmatched
from caten_sd.mapping.writing import write_canonical
from caten_sd.state.gc_pause import collector_paused
from caten_sd.state.keys import Path
from caten_sd.state.options import checked_options
from caten_sd.state.sheet import HasSheet, Sheet
from caten_sd.state.state_dict import OURS, STAMP, StateDict, as_state_dict
from caten_sd.state.training_keys import is_training, model_state
from caten_sd.wording import counted


class RenamedPaths(Mapping[str, Path]):
    """The path of each key, made on demand: the old path of a kept key, else the key split."""

    def __init__(self, state: StateDict, keys: Collection[str], kept: Collection[str]) -> None:
        self._state, self._keys, self._kept = state, keys, kept

    def __getitem__(self, key: str) -> Path:
        if key in self._kept:
            return self._state.paths[key]
        if key not in self._keys:
            raise KeyError(key)
        return StateDict({key: None}).paths[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


@attrs.frozen(repr=False)
class LayoutPlan(HasSheet):
    """What applying a layout gives: a lazy state dict, and the findings."""

    source: Layout
    target: Layout
    state_dict: StateDict
    findings: Findings
    detection: Detection | None  # None where the source was declared

    @property
    def verdict(self) -> str:
        """From which layout to which, how many tensors, and how many do not match."""
        tensors = counted(len(self.state_dict), "tensor")
        head = f"{self.source.name} to {self.target.name}: {tensors}"
        return "; ".join([head, *self.findings.faults()])

    def sheet(self) -> Sheet:
        """Return the sheet: the findings in groups, and what whoever reads the result has to do."""
        return Sheet(
            "layout plan",
            self.verdict,
            self.findings.hints,
            self.findings.groups(),
            data={
                "from_layout": self.source.name,
                "layout": self.target.name,
                "tensors": len(self.state_dict),
                "evidence": self.detection.evidence if self.detection else (),
            },
        )


@checked_options()
def to_layout(
    state_dict: Mapping[str, Any],
    layout: str | Layout,
    *,
    from_layout: str | Layout | None = None,
    config: Any = None,
    prefix: str | None = None,
    against: Collection[str] | None = None,
    strict: bool = False,
    silent: bool = False,
    **numbers: int,
) -> StateDict:
    """Return the state dict in a layout: keys renamed, and leaves derived lazily.

    Nothing is read but what a layout cuts off, and what must be a constant to be left out.

    ``from_layout`` is the layout it is in now; left out, the one in its metadata, or else the
    detected one. ``config``, or else the config.json next to its file, and the keywords give the
    numbers that operations name, such as head counts. ``prefix`` is one of the layout's prefixes,
    to be written instead of the first. ``against`` has the keys of the model whose names a layout
    joins by "_", as those of LoRA files do.

    Keys that no row takes stay as they are. They, rows that find no key, and shapes that are not
    as declared give a LayoutWarning; none if ``silent``, and a LayoutError if ``strict``.
    """
    plan = plan_layout(
        state_dict,
        layout,
        from_layout=from_layout,
        config=config,
        prefix=prefix,
        against=against,
        **numbers,
    )
    complaint = plan.findings.complaint
    if complaint:
        message = f"{plan.source.name} to {plan.target.name}: {complaint}"
        if strict:
            raise LayoutError(message)
        if not silent:
            warnings.warn(LayoutWarning(message, plan.findings), stacklevel=caller_level())
    return plan.state_dict


@checked_options()
@collector_paused()
def plan_layout(
    state_dict: Mapping[str, Any],
    layout: str | Layout,
    *,
    from_layout: str | Layout | None = None,
    config: Any = None,
    prefix: str | None = None,
    against: Collection[str] | None = None,
    **numbers: int,
) -> LayoutPlan:
    """Return what ``to_layout`` would give, and the findings; LayoutError as in ``to_layout``."""
    state = as_state_dict(state_dict)
    target = find_layout(layout)
    if is_training(state.keys()):
        options = {"config": config, "prefix": prefix, "against": against, **numbers}
        return _plan_training(state, layout, from_layout, **options)
    origin, detection = source_layout(state, from_layout, target, layout)
    refuse_unrelated(origin, target)
    config = config_for(origin, state) if config is None else config
    joined = None if against is None else joined_paths(against)
    stated = stated_numbers(state.metadata, origin, target)
    lookup = Numbers(numbers, config, {**origin.aliases, **target.aliases}, joined, stated)
    read = read_canonical(origin, items_of(state, with_record(state)), lookup, target=target)
    refuse_read(origin, read.findings)
    read.findings.hints += target.notes
    if origin is target and detection is None and prefix is None:
        return LayoutPlan(
            origin, target, _stamped(state, target, read.findings), read.findings, None
        )
    result = _written(state, origin, target, read, lookup, prefix)
    return LayoutPlan(origin, target, result, read.findings, detection)


def _written(
    state: StateDict,
    origin: Layout,
    target: Layout,
    read: Reading,
    lookup: Numbers,
    prefix: str | None,
) -> StateDict:
    """Return the state dict in the target's layout; what is found is added to the findings."""
    findings = read.findings
    items, hints = write_canonical(origin, target, read.items, lookup, findings, prefix=prefix)
    refuse_parted(state.entry, items)
    stale = {OURS + row.untied[0] for row in origin.rows if isinstance(row, Row) and row.untied}
    kept = {key: value for key, value in state.metadata.items() if key not in (*stale, RECORD)}
    record, lost = record_of(items)
    findings.hints += [
        f"what is cut off {key} is too much to be recorded, or changed afterwards" for key in lost
    ]
    entry, paths = _collected(state, target, items)
    said = _description(target, lookup, read.numbers)
    metadata = {**said, **kept, **hints, **record}
    return _stamped(state.with_entry(entry, paths=paths, metadata=metadata), target, findings)


def _plan_training(
    state: StateDict, layout: str | Layout, from_layout: str | Layout | None, **options: Any
) -> LayoutPlan:
    """Plan for the model of a training state, and map the optimizer's state the same way."""
    from caten_sd.mapping.training_layout import training_in_layout

    plan = plan_layout(model_state(state), layout, from_layout=from_layout, **options)

    def apply_layout(model: StateDict) -> StateDict:
        return plan_layout(model, plan.target, from_layout=plan.source, **options).state_dict

    mapped = training_in_layout(state, plan.state_dict, apply_layout)
    return attrs.evolve(plan, state_dict=mapped)


def _description(layout: Layout, lookup: Numbers, shapes: Mapping[str, int]) -> dict[str, Any]:
    """Return what a file in the layout says of itself, as far as shapes and configuration tell."""

    def find(name: str) -> Any:
        return lookup.find(name, shapes)

    architecture = layout.metadata.get(ARCHITECTURE)
    if architecture is None:
        return dict(layout.metadata)
    return {**described(layout.sizes, architecture, find), **layout.metadata}


def source_layout(
    state: StateDict, from_layout: str | Layout | None, target: Layout, asked: str | Layout
) -> tuple[Layout, Detection | None]:
    """Return the layout a state dict is in: the declared, the stamped or the detected one.

    ``asked`` is what the caller gave for the target.
    """
    if from_layout is None and target.implies_source:
        return target.canonical, None
    # A layout of the caller's own cannot be found by name; the target and its canonical one can.
    by_name = {layout.name: layout for layout in (target.canonical, target)}
    stamp = state.metadata.get(STAMP)
    if from_layout is None and stamp is None:
        detection = detect_layout(state, layouts=by_name.values())
        if detection.layout is None:
            refuse_unmatched(state, asked, target, detection)
        return detection.decided(target), detection
    if from_layout is None:  # the stamp is a word of a file, and never names code to run
        return by_name.get(str(stamp)) or _layout_of_file(str(stamp)), None
    named = by_name.get(from_layout) if isinstance(from_layout, str) else None
    declared = named or find_layout(from_layout)
    if stamp is not None and stamp != declared.name:
        raise LayoutError(
            f"the metadata says that the layout is {stamp!r} and from_layout= or --from says "
            f"{declared.name!r}; a layout is applied once, so leave the latter out or correct "
            f"{STAMP} in the metadata"
        )
    refuse_excluded(declared, state)
    return declared, None


def _layout_of_file(stamp: str) -> Layout:
    """Return the layout that a file says it is in; LayoutError says how to pass an unknown one."""
    try:
        return known_layout(stamp)
    except LayoutError as error:
        raise LayoutError(
            f"the file says that its layout is {stamp!r}, and {error}, in from_layout= or --from"
        ) from None


def _collected(
    state: StateDict, target: Layout, items: Iterable[Item]
) -> tuple[dict[str, Any], Mapping[str, Path]]:
    """Return the items' leaves and paths by key; LayoutError where two have one key."""
    found: dict[str, Item] = {}
    for item in items:
        if found.setdefault(item.key, item) is not item:
            raise LayoutError(
                f"{found[item.key].origin} and {item.origin} would both be {item.key} in layout "
                f"{target.name}; remove or rename one of them"
            )
    kept = {key for key, item in found.items() if item.origin == key}
    return {key: item.leaf for key, item in found.items()}, RenamedPaths(state, found, kept)


def _stamped(state: StateDict, layout: Layout, findings: Findings) -> StateDict:
    """Return the state dict with the layout's name in its metadata if all its keys are matched."""
    matched = not findings.untaken and not findings.misfits
    name = layout.name if matched and layout.stamps else None
    if state.metadata.get(STAMP) == name:
        return state
    metadata = {key: value for key, value in state.metadata.items() if key != STAMP}
    if name:
        metadata[STAMP] = name
    return state.with_entry(state.entry, paths=state.paths, ties=state.ties, metadata=metadata)
