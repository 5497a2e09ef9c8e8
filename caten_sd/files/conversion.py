"""Convert a checkpoint to another format, layout or dtype, and compare what was written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from caten_sd.errors import FormatError
from caten_sd.files.atomic import checked
from caten_sd.files.cast import cast_floats
from caten_sd.files.catalog import format_called
from caten_sd.files.checkpoint import format_to_write, read_state_dict, write_state_dict
from caten_sd.files.conversion_steps import described, edited, in_layout, with_adapters
from caten_sd.files.floats_of_packed import floats_of_packed
from caten_sd.files.format import Format
from caten_sd.files.read_back import compare_written
from caten_sd.files.uncommitted import read_uncommitted
from caten_sd.state.globs import Patterns
from caten_sd.state.leaf import spec, spec_or_none
from caten_sd.state.options import checked_options
from caten_sd.state.pieces import PIECE, Progress, bytes_at_once, hashing, reporting
from caten_sd.state.renames import Renamer, Rules
from caten_sd.state.sheet import HasSheet, Sheet
from caten_sd.state.sheet_groups import SheetGroup, SheetRow
from caten_sd.state.state_dict import STAMP, StateDict
from caten_sd.wording import counted, first_few

if TYPE_CHECKING:  # all layouts come with it
    from caten_sd.files.merged_adapters import Adapter
    from caten_sd.mapping.findings import Findings
    from caten_sd.mapping.layout import Layout


@attrs.frozen
class Estimate:
    """What a conversion will write, in tensors and bytes, and the memory it needs.

    ``tensors`` counts tied ones too; ``size`` counts their bytes once.
    """

    tensors: int
    size: int
    memory: int


@attrs.frozen(repr=False)
class Conversion(HasSheet):
    """What a conversion did; counts and error are measured on the file that was written.

    ``left_out`` are values that are not tensors, what the source holds outside its tree, and
    metadata that the format has no place for. ``findings`` come from the layout: what was dropped
    and why, what was tied, what has no row. ``memory`` is what the estimate said in bytes.
    ``edits`` say how many keys were selected and renamed, and which packed weights became floats.
    """

    source: str
    target: str
    tensors: int
    size: int
    layout: str
    casts: Mapping[str, int]
    error: float
    error_key: str
    left_out: tuple[str, ...] = ()
    findings: Findings | None = None
    memory: int = 0
    edits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """What was written, with counts, and what was lost."""
        written = f"{counted(self.tensors, 'tensor')}, {counted(self.size, 'byte')}"
        parts = [f"{self.target}: {written}, read back and equal"]
        if self.layout:
            parts.append(f"layout {self.layout}")
        if self.casts:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.casts.items())
            where = f" in {self.error_key}" if self.error_key else ""
            parts.append(f"cast {kinds}, largest error {self.error:.2g}{where}")
        if self.findings:
            parts += self.findings.faults()
        if self.left_out:
            parts.append(f"left out: {first_few(self.left_out, 5)}")
        return "; ".join(parts)

    def sheet(self) -> Sheet:
        """Return the sheet: the layout's findings in groups, and what was left out."""
        left_out = SheetGroup("left out", [SheetRow(name, quiet=True) for name in self.left_out])
        return Sheet(
            "conversion",
            self.verdict,
            [*self.edits, *(self.findings.hints if self.findings else ()), *self.notes],
            [*(self.findings.groups() if self.findings else ()), left_out],
            data={
                "source": self.source,
                "target": self.target,
                "tensors": self.tensors,
                "bytes": self.size,
                "memory_needed": self.memory,
                "layout": self.layout,
                "casts": self.casts,
                "largest_error": self.error,
                "largest_error_key": self.error_key,
            },
        )


@checked_options(source="location", target="location")
def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    layout: str | Layout | None = None,
    from_layout: str | Layout | None = None,
    prefix: str | None = None,
    against: Collection[str] | None = None,
    numbers: Mapping[str, int] | None = None,
    only: Patterns = (),
    exclude: Patterns = (),
    rename: Rules | Renamer | None = None,
    dtype: Any = None,
    metadata: Mapping[str, Any] | None = None,
    root: str | None = None,
    lora: Adapter | Sequence[Adapter] = (),
    announce: Callable[[Estimate], Any] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Conversion:
    """Write a checkpoint in the format of the target's suffix, and return what was done.

    The steps have this order, and each sees the keys that the one before it gives. ``root`` chooses
    a tree of the source. ``lora`` is an adapter that is added to the weights, or several: locations
    or state dicts, as for ``merge_lora``. ``layout`` names the layout to write, ``from_layout``
    that of the source if it cannot be detected, and ``prefix`` is one of the layout's prefixes, to
    be written instead of the first. ``against`` has the keys of the models, for a layout that joins
    names by "_", as kohya's, and ``numbers`` those that a layout needs and no file states, such as
    head counts. ``only`` and ``exclude`` select keys, as ``StateDict.select`` does,
    and ``rename`` gives them new beginnings, as ``StateDict.rename`` does. ``dtype`` is the new
    dtype of floats: a name ("bf16", "bfloat16", "q8_0"), the dtype of any package, "keep", or a
    mapping of glob patterns to these, of which the first that matches applies. A packed weight of
    GPTQ, AWQ, bitsandbytes, MLX or fp8 with scales becomes a float for it, before it is put in a
    layout.

    ``metadata`` is added to that of the source. ``options`` go to the format's writer, such as
    ``max_shard_size="5GB"`` to that of shards. ``announce`` is called with an Estimate before
    anything is written, ``progress`` with each number of bytes.

    A part of one tensor is in memory at a time. What is written is read back and every tensor
    compared before it takes the target's place; if one differs, what was there stays.
    """
    with read_state_dict(source, root=root, streaming=True) as given:
        first = floats_of_packed(given, dtype)
        added, notes = with_adapters(first.state_dict, lora)
        converted, findings = in_layout(added, layout, from_layout, prefix, against, numbers or {})
        chosen, edits = edited(converted, only, exclude, rename)
        second = floats_of_packed(chosen, dtype)  # by the keys that a dtype's patterns are for
        cast, format = cast_floats(second.state_dict, dtype), _format(target, options)
        expected, said = described(format, cast, source) if findings is not None else (cast, ())
        need = estimate(expected)
        if announce is not None:
            announce(need)
        with reporting(progress, need.size):
            done = _written(expected, source, target, {**options, "metadata": metadata or {}})
    return attrs.evolve(
        done,
        findings=findings,
        memory=need.memory,
        edits=tuple(dict.fromkeys((*first.notes, *notes, *edits, *second.notes))),
        notes=said,
        casts={**first.casts, **second.casts, **done.casts},
    )


def _format(target: str | os.PathLike[str], options: Mapping[str, Any]) -> Format:
    return format_called(options.get("format")) or format_to_write(target)


def estimate(state_dict: StateDict) -> Estimate:
    """Return how much disk and memory it takes to write the leaves."""
    tensors = {key: leaf for key, leaf in state_dict.items() if spec_or_none(leaf)}
    stored = [leaf for key, leaf in tensors.items() if key not in state_dict.ties]
    size = sum(spec(leaf).nbytes for leaf in stored)
    at_once = max(map(bytes_at_once, stored), default=0)
    return Estimate(len(tensors), size, 2 * at_once + PIECE)


def _left_out(state_dict: StateDict, format: Format) -> tuple[str, ...]:
    metadata = () if format.holds_metadata else state_dict.metadata
    return *state_dict.others, *state_dict.rest, *(f"metadata {name}" for name in metadata)


def _written(
    expected: StateDict,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    options: Mapping[str, Any],
) -> Conversion:
    """Write the target, and compare what was written while the target is still as it was."""
    conversions: list[Conversion] = []
    source_path, target_path = Path(source), Path(target)
    format = _format(target, options)

    def compare(written: Path, named: Path) -> None:
        with read_uncommitted(written, named) as found:
            leaves = dict(zip(expected, found.values(), strict=True)) if format.one_leaf else found
            _check_metadata(options["metadata"], found, target_path)
            done = compare_written(expected, leaves, hashes, target_path)
            layout = str(expected.metadata.get(STAMP, ""))
            conversions.append(
                Conversion(
                    str(source_path), str(target_path), len(expected), done.size, layout, *done[1:]
                )
            )

    def check(written: Path, named: Path) -> None:
        with _refusing(source_path, target_path):
            compare(written, named)

    with hashing() as hashes, checked(check):
        write_state_dict(expected, target, **options)
    if not conversions:  # by the writer of another package, which replaces its target itself
        compare(target_path, target_path)
    return attrs.evolve(conversions[-1], left_out=_left_out(expected, format))


def _check_metadata(asked: Mapping[str, Any], found: StateDict, target: Path) -> None:
    """Refuse a file from which an entry of the metadata that was asked for does not come back."""
    for name, value in asked.items():
        back = found.metadata.get(name)
        if name not in found.metadata or (isinstance(value, str) and str(back) != value):
            problem = f"the entry {name!r} of its metadata does not read back as written"
            raise FormatError(target, problem, "leave it out, or call it something else")


@contextlib.contextmanager
def _refusing(source: Path, target: Path) -> Iterator[None]:
    """Say of an error in what was written that it did not replace the target."""
    try:
        yield
    except FormatError as error:
        if source != target and _is_at(error.source, source):
            raise
        problem = f"it was not replaced, because what was written is wrong: {error.problem}"
        raise FormatError(target, problem, "check the disk and try again") from error


def _is_at(name: str, path: Path) -> bool:
    """Return whether an error names this checkpoint, or a file or member of it."""
    file, checkpoint = (Path(str(each).partition("::")[0]) for each in (name, path))
    return checkpoint in (file, *file.parents)
