"""The contract of a format: every clause, and what runs them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from caten_sd.errors import ContractError
from caten_sd.files.format import Format, write
from caten_sd.state.options import checked_options
from caten_sd.testing import hostile, openings, recognition, round_trips, saves
from caten_sd.testing.clause import Clause
from caten_sd.testing.damage import Mutator
from caten_sd.testing.subject import BrokenClauseError, Subject

CONTRACT: tuple[Clause, ...] = (
    recognition.class_of_the_format,
    recognition.found_by_content,
    recognition.files_of_others,
    recognition.few_bytes_are_recognized,
    round_trips.order,
    round_trips.dtypes,
    round_trips.shapes,
    round_trips.memory_order,
    round_trips.large_tensors,
    round_trips.torch_tensors,
    round_trips.nothing,
    round_trips.keys,
    round_trips.values_that_are_no_tensors,
    round_trips.ties,
    round_trips.metadata,
    round_trips.digests,
    openings.opening_reads_headers,
    openings.slices,
    openings.slices_read_their_rows,
    openings.streaming,
    openings.any_order,
    openings.pickling,
    openings.closing_leaves_arrays,
    openings.closing_ends_reading,
    saves.same_bytes,
    saves.a_save_replaces_the_whole,
    saves.a_save_of_what_it_replaces,
    saves.a_failure_leaves_what_was_there,
    saves.a_full_disk,
    hostile.truncation,
    hostile.claimed_sizes,
    hostile.noise,
    hostile.random_damage,
    hostile.files_that_change,
)


class BoundClause(NamedTuple):
    """A clause for one format: calling it raises ContractError if the clause does not hold."""

    clause: Clause
    subject: Subject

    def __call__(self) -> None:
        """Try the clause in a new temporary folder."""
        with tempfile.TemporaryDirectory(prefix="caten_sd-") as folder:
            try:
                self.clause.check(self.subject._replace(folder=Path(folder)))
            except BrokenClauseError as error:
                raise self._broken(str(error)) from error.__cause__
            except Exception as error:
                raise self._broken(f"{type(error).__name__} is raised: {error}") from error

    def _broken(self, problem: str) -> ContractError:
        format, clause = self.subject.format, self.clause
        return ContractError(format.name, clause.name, clause.sentence, problem)

    def __str__(self) -> str:
        return f"{self.subject.format.name}: {self.clause.name}"


@checked_options(format="class", inputs="seed")
def clauses(
    format: Format | type[Format],
    *,
    lazy: bool = True,
    written: bool = True,
    files: Sequence[Path | str] = (),
    mutators: Sequence[Mutator] = (),
    inputs: int = 100,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> list[BoundClause]:
    """Return the clauses that a format has to keep, to be called one by one.

    With pytest: ``@pytest.mark.parametrize("clause", clauses(Mine), ids=str)`` over a test that
    calls ``clause()``. ``lazy=False`` leaves out what a format cannot keep whose ``read`` returns
    arrays, and ``written=False`` what one cannot keep that is only read. ``files`` are sound files
    of the format; without any, the hostile clauses take what its ``write`` writes. ``mutators``
    change the bytes of a file in a way that knows its structure. ``inputs`` is how many files with
    random damage are tried. ``options`` go to its writer.
    """
    known = format() if isinstance(format, type) else format
    given = tuple(map(Path, files))
    writes = written and bool(write.methods(type(known)))
    subject = Subject(known, Path(), given, tuple(mutators), inputs, options)
    return [
        BoundClause(each, subject)
        for each in CONTRACT
        if each.is_about(known, lazy=lazy, written=writes, files=bool(given))
    ]


@checked_options(format="class", inputs="seed")
def check_format(
    format: Format | type[Format],
    *,
    lazy: bool = True,
    written: bool = True,
    files: Sequence[Path | str] = (),
    mutators: Sequence[Mutator] = (),
    inputs: int = 100,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Try every clause on a format; ContractError names the first that does not hold.

    The options are those of ``clauses``.
    """
    for each in clauses(
        format,
        lazy=lazy,
        written=written,
        files=files,
        mutators=mutators,
        inputs=inputs,
        options=options,
    ):
        each()


@checked_options(format="class", inputs="seed")
def check_hostile(
    format: Format | type[Format],
    *,
    lazy: bool = True,
    written: bool = True,
    files: Sequence[Path | str] = (),
    mutators: Sequence[Mutator] = (),
    inputs: int = 1000,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Try only the clauses on damaged files, on more of them; ContractError as by ``check_format``.

    The options are those of ``clauses``.
    """
    for each in clauses(
        format,
        lazy=lazy,
        written=written,
        files=files,
        mutators=mutators,
        inputs=inputs,
        options=options,
    ):
        if each.clause.hostile:
            each()
