"""The steps of a conversion before anything is written: adapters, layout, names, neighbors."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from caten_sd.errors import LayoutError, StateDictError
from caten_sd.files.catalog import file_suffixes
from caten_sd.files.folders_below import meant_folder
from caten_sd.files.format import Format
from caten_sd.state.globs import Patterns
from caten_sd.state.renames import Renamer, Rules
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import counted

if TYPE_CHECKING:  # all layouts come with it
    from caten_sd.files.merged_adapters import Adapter
    from caten_sd.mapping.findings import Findings
    from caten_sd.mapping.layout import Layout


def with_adapters(
    state_dict: StateDict, adapters: Adapter | Sequence[Adapter]
) -> tuple[StateDict, tuple[str, ...]]:
    """Return the leaves with LoRA adapters added to them, and notes of it."""
    several = [adapters] if isinstance(adapters, (str, os.PathLike, Mapping)) else adapters
    notes: list[str] = []
    for adapter in several:
        from caten_sd.files.merged_adapters import merged  # all layouts come with it

        state_dict, more = merged(state_dict, adapter)
        notes += more
    return state_dict, tuple(notes)


def in_layout(
    state_dict: StateDict,
    layout: str | Layout | None,
    from_layout: str | Layout | None,
    prefix: str | None,
    against: Collection[str] | None,
    numbers: Mapping[str, int],
) -> tuple[StateDict, Findings | None]:
    """Return the leaves in the layout that is asked for, if one is, and what there is to say."""
    if layout is None and from_layout is None:
        _refuse_without_layout(prefix, against, numbers)
        return state_dict, None
    from caten_sd.mapping.layout_plan import plan_layout
    from caten_sd.mapping.refusals import refuse_source_alone, refuse_to_write

    refuse_source_alone(layout, from_layout)
    plan = plan_layout(
        state_dict,
        layout or "",
        from_layout=from_layout,
        prefix=prefix,
        against=against,
        **numbers,
    )
    refuse_to_write(plan.source, plan.target, state_dict, plan.findings)
    return plan.state_dict, plan.findings


def _refuse_without_layout(
    prefix: str | None, against: Collection[str] | None, numbers: Mapping[str, int]
) -> None:
    """Raise LayoutError for what only a layout to write uses."""
    if prefix is not None:
        raise LayoutError(
            f"prefix= or --prefix is {prefix!r}, one of a layout's prefixes, and no layout to "
            f"write is named; name it with layout= or --to, or give keys new beginnings with "
            f"rename= or --rename"
        )
    world = ", as layout=between(file, model) for a model of another framework"
    for given, what, hint in (
        (against is not None, "against= or --against gives the names of a model", world),
        (bool(numbers), "numbers= or --number gives numbers of a model", ""),
    ):
        if given:
            raise LayoutError(
                f"{what}, and no layout to write is named; name it with layout= or --to{hint}, or "
                f"leave the other out"
            )


def edited(
    state_dict: StateDict, only: Patterns, exclude: Patterns, rename: Rules | Renamer | None
) -> tuple[StateDict, tuple[str, ...]]:
    """Return the leaves that are asked for, under the keys that are asked for, and notes of it."""
    patterns = [only] if isinstance(only, str) else list(only)
    chosen = state_dict.select(*patterns, exclude=exclude) if patterns or exclude else state_dict
    if state_dict and not chosen:
        raise StateDictError(
            f"none of {counted(len(state_dict), 'key')} is left to write: every key that only= or "
            f"--only takes, exclude= or --except leaves out; change one of them"
        )
    names = chosen if rename is None else chosen.rename(rename)
    changed = [old for old, new in zip(chosen, names, strict=True) if old != new]
    notes = []
    if len(chosen) < len(state_dict):
        total = counted(len(state_dict), "key was", "keys were")
        notes.append(f"{len(chosen):,} of {total} selected, as asked")
    if changed:
        notes.append(f"{counted(len(changed), 'key was', 'keys were')} renamed, as asked")
    return names, tuple(notes)


def described(
    format: Format, state_dict: StateDict, source: str | os.PathLike[str]
) -> tuple[StateDict, tuple[str, ...]]:
    """Return a state dict with what the format's readers need besides, and notes of it."""
    path = Path(str(source).partition("::")[0])
    folder = meant_folder(path, file_suffixes) if path.is_dir() else path.parent
    metadata, leaves, notes = format.described(state_dict, folder)
    if not metadata and not leaves:
        return state_dict, notes
    new = StateDict(leaves)
    return state_dict.with_entry(
        {**state_dict, **new},
        paths={**state_dict.paths, **new.paths},
        ties=state_dict.ties,
        metadata={**metadata, **state_dict.metadata},
    ), notes
