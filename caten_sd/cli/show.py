"""``caten-sd show FILE``: what the file is, and its tensors in groups."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from caten_sd.cli import FINE, say
from caten_sd.cli.arguments import parser_of
from caten_sd.cli.json_text import json_text
from caten_sd.cli.text import bytes_text, cut, few, value_text
from caten_sd.errors.printable import one_line, printable
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.state.dtype import RAW_BFLOAT16, is_raw_pair
from caten_sd.state.grouping import LONGEST_KEY, MAX_LINES, group_keys
from caten_sd.state.leaf import Spec
from caten_sd.state.state_dict import StateDict, spec_or_none
from caten_sd.wording import counted

SUMMARY = "show what a checkpoint is and what it holds"
MAX_METADATA = 3  # lines
WIDTH = 80  # characters


def run(words: Sequence[str]) -> int:
    """Print the summary; only headers are read."""
    parser = parser_of("show", SUMMARY)
    parser.add_argument("--all", action="store_true", help="one line for every tensor")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    options = parser.parse_args(words)
    with read_state_dict(options.file, root=options.root) as state_dict:
        if options.json:
            say(*json_text(_as_json(options.file, state_dict)).split("\n"))
        else:
            specs = _specs(state_dict)
            head = list(_head(options.file, state_dict, specs, every=options.all))
            most = None if options.all else MAX_LINES - len(head)
            say(*head, *_tensors(state_dict, specs, most))
    return FINE


def _specs(state_dict: StateDict) -> dict[str, Spec]:
    return {
        key: known for key, leaf in state_dict.items() if (known := spec_or_none(leaf)) is not None
    }


def _head(
    file: str, state_dict: StateDict, specs: dict[str, Spec], *, every: bool
) -> Iterator[str]:
    """Yield the format and totals, the metadata, and all that is not a tensor of the tree."""
    own = {key: known for key, known in specs.items() if key not in state_dict.ties}
    size = sum(known.nbytes for known in own.values())
    count = sum(math.prod(known.shape) for known in own.values())
    held = [counted(len(specs), "tensor"), counted(count, "element"), bytes_text(size)]
    yield f"{one_line(file)}: {one_line(state_dict.origin)}, {', '.join(held)}"
    yield from _metadata(state_dict, every=every)
    for label, values in (("also in it", state_dict.rest), ("values", state_dict.others)):
        if values:
            texts = [value_text(name, value) for name, value in values.items()]
            yield f"  {label}: {', '.join(texts) if every else few(texts, WIDTH)}"
    yield from _imports(state_dict, every=every)
    if raw := _raw_note(specs):
        yield f"  {raw}"


def _raw_note(specs: dict[str, Spec]) -> str:
    """Return what raw elements of 2 bytes may be, or "" if the file has none."""
    raw = next((known.dtype for known in specs.values() if is_raw_pair(known.dtype)), None)
    return f"{raw.name}: the file does not say what it is; {RAW_BFLOAT16}" if raw else ""


def _imports(state_dict: StateDict, *, every: bool) -> Iterator[str]:
    """Yield what Python would import for the file's pickles, and what of it is not plain data."""
    names = state_dict.imports
    other = [name for name, plain in names.items() if not plain]
    safe = "" if other else ", all plain data"
    for label, given in (
        (f"names in its pickle{safe}; none was imported", list(names)),
        ("not plain data among them", other),
    ):
        if given:
            texts = [cut(name, WIDTH) for name in given]
            yield f"  {label}: {', '.join(texts) if every else few(texts, WIDTH)}"


def _tensors(state_dict: StateDict, specs: dict[str, Spec], most: int | None) -> Iterator[str]:
    """Yield the tensors in groups, on at most ``most`` lines; None gives each tensor a line."""
    rows = list(_rows(specs, state_dict, every=most is None))
    shown = rows if most is None or len(rows) <= most else rows[: most - 1]
    width = min(max((len(row[0]) for row in shown), default=0), LONGEST_KEY)
    for name, *rest in shown:
        yield f"  {name:<{width}}  {'  '.join(rest)}"
    if len(rows) > len(shown):
        yield f"  ... and {len(rows) - len(shown):,} more groups; --all shows every tensor"


def _metadata(state_dict: StateDict, *, every: bool) -> Iterator[str]:
    lines = [
        f"  {one_line(printable(k), WIDTH)} = {cut(str(v), WIDTH)}"
        for k, v in state_dict.metadata.items()
    ]
    if every or len(lines) <= MAX_METADATA:
        yield from lines
        return
    yield from lines[: MAX_METADATA - 1]
    yield f"  ... and {len(lines) - MAX_METADATA + 1} more entries; --all shows every one"


def _rows(
    specs: dict[str, Spec], state_dict: StateDict, *, every: bool
) -> Iterable[tuple[str, ...]]:
    """Yield the name, shape, dtype and size of each tensor, or of each group of equal specs."""
    alike: dict[tuple[Any, ...], list[str]] = {}
    for key, known in specs.items():
        alike.setdefault((known.shape, known.dtype, key if every else ""), []).append(key)
    position = {key: index for index, key in enumerate(specs)}
    groups = [group for keys in alike.values() for group in group_keys(keys)]
    for group in sorted(groups, key=lambda group: position[group.keys[0]]):
        known = specs[group.keys[0]]
        tie = state_dict.ties.get(group.keys[0])
        size = (
            bytes_text(known.nbytes * len(group.keys))
            if tie is None
            else f"tied to {printable(tie)}"
        )
        name = str(group) if every else one_line(group, LONGEST_KEY)
        yield name, str(list(known.shape)), known.dtype.name, size


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
        "imports": list(state_dict.imports),
        "not_plain_data": [name for name, plain in state_dict.imports.items() if not plain],
        "rest": list(state_dict.rest),
        "others": list(state_dict.others),
        "note": _raw_note(_specs(state_dict)),
        "tensors": tensors,
    }
