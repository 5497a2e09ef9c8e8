"""``caten-sd show FILE|module:callable``: what it is, and its tensors in groups."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import starmap

from caten_sd.cli import FINE, say_sheet
from caten_sd.cli.arguments import CHECKPOINT, MODEL, parser_of
from caten_sd.cli.file_or_model import file_or_model
from caten_sd.cli.text import cut, few, value_text
from caten_sd.errors.printable import one_line, printable
from caten_sd.state.dtype import RAW_BFLOAT16, is_raw_pair
from caten_sd.state.leaf import Spec, spec_or_none
from caten_sd.state.packed_weights import packed_groups
from caten_sd.state.sheet import HasSheet, Sheet
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import bytes_text, counted

SUMMARY = "show what a checkpoint is and what it holds"
MAX_METADATA = 3  # lines
WIDTH = 80  # characters


class FileSummary(HasSheet):
    """What a checkpoint is and what it holds.

    ``every`` is whether its notes have everything, and ``stats`` whether statistics of the values
    take the place of their shapes, for which all data is read.
    """

    def __init__(
        self, file: str, state_dict: StateDict, *, every: bool = False, stats: bool = False
    ) -> None:
        self.file, self.state_dict, self.every, self.stats = file, state_dict, every, stats
        known = ((key, spec_or_none(leaf)) for key, leaf in state_dict.items())
        self.specs = {key: spec for key, spec in known if spec is not None}

    @property
    def verdict(self) -> str:
        """The format and the totals."""
        state = self.state_dict
        own = [known for key, known in self.specs.items() if key not in state.ties]
        size, count = sum(each.nbytes for each in own), sum(math.prod(each.shape) for each in own)
        tensors = counted(len(self.specs), "tensor")
        held = [state.origin or "a model", tensors, counted(count, "element"), bytes_text(size)]
        return f"{self.file}: {', '.join(held)}"

    def sheet(self) -> Sheet:
        """Return the sheet: all that is not a tensor of the tree as notes, and the tensors."""
        state = self.state_dict
        groups, notes = list(state.sheet().groups), list[str]()
        if self.stats:
            from caten_sd.proof.tensor_statistics import not_finite, statistics_group

            groups = [statistics_group(state, every=self.every), *groups[1:]]
            notes = not_finite(groups[0])
        return Sheet(
            "checkpoint",
            self.verdict,
            [
                *notes,
                *_metadata(state, every=self.every),
                *_others(state, every=self.every),
                *_raw(self.specs),
                *_quantization(state),
            ],
            groups,
            data={
                "file": self.file,
                "format": state.origin,
                "metadata": state.metadata,
                "imports": list(state.imports),
                "not_plain_data": _not_plain(state),
                "rest": list(state.rest),
                "others": list(state.others),
            },
        )


def run(words: Sequence[str]) -> int:
    """Print the summary; only headers are read, unless statistics are asked for."""
    parser = parser_of("show", SUMMARY, "file", "FILE|module:callable", f"{CHECKPOINT}; or {MODEL}")
    parser.add_argument("--all", action="store_true", help="one line for every tensor")
    parser.add_argument(
        "--stats",
        action="store_true",
        help="the least, the largest and the mean value, the standard deviation, and how many "
        "values are 0, NaN, infinite, or more than 6 deviations from the mean",
    )
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    options = parser.parse_args(words)
    with file_or_model(options.file, options.root) as state_dict:
        every = options.all or options.json
        found = FileSummary(options.file, state_dict, every=every, stats=options.stats)
        say_sheet(found, as_json=options.json, every_line=options.all)
    return FINE


def _metadata(state_dict: StateDict, *, every: bool) -> list[str]:
    lines = [
        f"{one_line(printable(key), WIDTH)} = {cut(str(value), WIDTH)}"
        for key, value in state_dict.metadata.items()
    ]
    if every or len(lines) <= MAX_METADATA:
        return lines
    left = len(lines) - MAX_METADATA + 1
    return [*lines[: MAX_METADATA - 1], f"... and {left:,} more entries; --all shows every one"]


def _others(state_dict: StateDict, *, every: bool) -> Iterator[str]:
    """Yield what lies next to the tree, its values, and what Python would import for them."""
    safe = "" if _not_plain(state_dict) else ", all plain data"
    names = f"names in its pickle{safe}; none was imported"
    for label, texts in (
        ("also in it", list(starmap(value_text, state_dict.rest.items()))),
        ("values", list(starmap(value_text, state_dict.others.items()))),
        (names, [cut(name, WIDTH) for name in state_dict.imports]),
        ("not plain data among them", [cut(name, WIDTH) for name in _not_plain(state_dict)]),
    ):
        if texts:
            yield f"{label}: {', '.join(texts) if every else few(texts, WIDTH)}"


def _quantization(state_dict: StateDict) -> list[str]:
    """Return how packed weights are packed, if the file has any."""
    if not packed_groups(state_dict):
        return []
    from caten_sd.blocks.unpacked_weights import quantization_notes  # few files have any

    return quantization_notes(state_dict)


def _not_plain(state_dict: StateDict) -> list[str]:
    return [name for name, plain in state_dict.imports.items() if not plain]


def _raw(specs: Mapping[str, Spec]) -> list[str]:
    """Return what raw elements of 2 bytes may be, if the file has any."""
    raw = [known.dtype.name for known in specs.values() if is_raw_pair(known.dtype)]
    return [f"{name}: the file does not say what it is; {RAW_BFLOAT16}" for name in raw[:1]]
