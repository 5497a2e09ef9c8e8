"""``caten-sd show FILE``: what it is, and its tensors in groups."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from caten_sd.checkpoint import read_state_dict
from caten_sd.cli.text import bytes_text, cut
from caten_sd.grouping import group_keys
from caten_sd.state_dict import StateDict, spec_or_none
from caten_sd.tensor import Spec

MAX_GROUPS = 16
MAX_METADATA = 3


def run(words: Sequence[str]) -> int:
    """Print the summary; nothing but headers is read."""
    parser = argparse.ArgumentParser("caten-sd show", description=__doc__)
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--all", action="store_true", help="one line for every tensor")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    parser.add_argument("--root", help="the tree to show, where a file holds several")
    options = parser.parse_args(words)
    with read_state_dict(options.file, root=options.root) as state_dict:
        if options.json:
            print(json.dumps(_as_json(options.file, state_dict), indent=1, default=str))
        else:
            print("\n".join(_lines(options.file, state_dict, every=options.all)))
    return 0


def _specs(state_dict: StateDict) -> dict[str, Spec]:
    return {
        key: known for key, leaf in state_dict.items() if (known := spec_or_none(leaf)) is not None
    }


def _lines(file: str, state_dict: StateDict, *, every: bool) -> Iterable[str]:
    specs = _specs(state_dict)
    own = {key: known for key, known in specs.items() if key not in state_dict.ties}
    size = sum(known.nbytes for known in own.values())
    count = sum(math.prod(known.shape) for known in own.values())
    held = f"{len(specs)} tensors, {count:,} elements, {bytes_text(size)}"
    yield f"{file}: {state_dict.origin}, {held}"
    for key, value in list(state_dict.metadata.items())[: None if every else MAX_METADATA]:
        yield f"  {key} = {cut(str(value), 60)}"
    if state_dict.others:
        yield f"  beside the tensors: {cut(', '.join(state_dict.others), 70)}"
    rows = list(_rows(specs, state_dict, every=every))
    width = max((len(row[0]) for row in rows), default=0)
    shown = rows if every else rows[:MAX_GROUPS]
    for name, *rest in shown:
        yield f"  {name:<{width}}  {'  '.join(rest)}".rstrip()
    if len(rows) > len(shown):
        yield f"  ... and {len(rows) - len(shown)} more groups; --all shows every tensor"


def _rows(
    specs: dict[str, Spec], state_dict: StateDict, *, every: bool
) -> Iterable[tuple[str, ...]]:
    """Yield name, shape, dtype and size of each tensor, or of each group of like tensors."""
    alike: dict[tuple[Any, ...], list[str]] = {}
    for key, known in specs.items():
        alike.setdefault((known.shape, known.dtype, key if every else ""), []).append(key)
    place = {key: index for index, key in enumerate(specs)}
    groups = [group for keys in alike.values() for group in group_keys(keys)]
    for group in sorted(groups, key=lambda group: place[group.keys[0]]):
        known = specs[group.keys[0]]
        tie = state_dict.ties.get(group.keys[0])
        size = bytes_text(known.nbytes * len(group.keys)) if tie is None else f"tied to {tie}"
        yield str(group), str(list(known.shape)), known.dtype.name, size


def _as_json(file: str, state_dict: StateDict) -> dict[str, Any]:
    tensors = {
        key: {
            "shape": list(known.shape),
            "dtype": known.dtype.name,
            "bytes": known.nbytes,
            **({"tied_to": state_dict.ties[key]} if key in state_dict.ties else {}),
        }
        for key, known in _specs(state_dict).items()
    }
    return {
        "file": file,
        "format": state_dict.origin,
        "metadata": state_dict.metadata,
        "others": list(state_dict.others),
        "tensors": tensors,
    }
