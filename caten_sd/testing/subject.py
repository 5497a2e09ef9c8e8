"""What a clause is tried on: a format, a folder of its own, and sound files of the format."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from caten_sd.errors import CatenError
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.files.format import Format, write
from caten_sd.state.leaf import Numpy, as_array
from caten_sd.state.state_dict import StateDict, as_state_dict
from caten_sd.testing.damage import Mutator
from caten_sd.testing.samples import small_model

KEY = "model"  # the key of a format of one leaf is the name of its file


class BrokenClauseError(Exception):
    """A clause does not hold; the runner turns it into a ContractError that names the clause."""


class Subject(NamedTuple):
    """A format, an empty folder to write in, and what the hostile clauses begin with."""

    format: Format
    folder: Path
    files: tuple[Path, ...] = ()
    mutators: tuple[Mutator, ...] = ()
    inputs: int = 100
    options: Mapping[str, Any] = MappingProxyType({})

    @property
    def path(self) -> Path:
        """Where the format writes: "model" with its first suffix, in a folder of its own."""
        suffix = self.format.suffixes[0].rstrip("/")
        name = KEY if suffix == ".index.json" else KEY + suffix
        place = self.folder / "here"
        place.mkdir(exist_ok=True)
        return place / name

    def apart(self, name: object) -> Subject:
        """Return the same with a new empty folder, for one of several tries."""
        folder = self.folder / f"apart-{name}"
        folder.mkdir()
        return self._replace(folder=folder)

    def write(self, state_dict: Mapping[str, Any], **options: Any) -> Path:
        """Write a state dict as the library does, and return the path."""
        options = {**self.options, **options}
        write_state_dict(state_dict, self.path, format=self.format, **options)
        return self.path

    def opened(self, path: Path | None = None, **options: Any) -> StateDict:
        """Open what was written, as the library does: its format is found by its content."""
        return read_state_dict(path or self.path, root="", **options)

    def arrays(self, path: Path | None = None) -> dict[str, Any]:
        """Return a copy of every array of what was written."""
        with self.opened(path) as found:
            return copies(found)

    def contents(self) -> dict[str, bytes]:
        """Return the bytes of every file that was written, by name."""
        place = self.path.parent
        files = sorted(each for each in place.rglob("*") if each.is_file())
        return {str(file.relative_to(place)): file.read_bytes() for file in files}

    def refused(self, state_dict: Mapping[str, Any]) -> CatenError | None:
        """Write a state dict; return the library's error if it is refused before the first byte.

        An error that comes after something was written breaks every clause.
        """
        before = self.contents()
        try:
            self.write(state_dict)
        except CatenError as error:
            require(self.contents() == before, f"{error!r} comes after files were changed")
            if not self.format.many:
                require(not self._begun(state_dict), f"{error!r} comes after the first byte")
            return error
        return None

    def _begun(self, state_dict: Mapping[str, Any]) -> bool:
        """Return whether the writer has written something before it refuses."""
        file = io.BytesIO()
        # A lone surrogate: ``write_state_dict`` turns this into an error of the library.
        with contextlib.suppress(CatenError, UnicodeEncodeError):
            write(self.format, file, as_state_dict(state_dict), **self.options)
        return bool(file.getvalue())

    def sound(self) -> Iterator[Path]:
        """Yield sound files of the format: those that were given, or else one that it writes."""
        yield from self.files
        if not self.files:
            arrays = {KEY: np.arange(12, dtype="f4").reshape(3, 4)}
            yield self.write(arrays if self.format.one_leaf else small_model())


def copies(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of every leaf as a ``numpy.ndarray``."""
    return {key: np.array(as_array(Numpy(), leaf)) for key, leaf in state_dict.items()}


def require(held: bool, problem: str) -> None:
    """Raise BrokenClauseError with the problem unless something holds."""
    if not held:
        raise BrokenClauseError(problem)


def require_equal(found: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Require the same keys in the same order, and the same dtypes, shapes and bytes."""
    require(list(found) == list(given), f"the keys {list(given)} come back as {list(found)}")
    for key, array in given.items():
        was, now = np.ascontiguousarray(array), np.ascontiguousarray(found[key])
        was = was.astype(was.dtype.newbyteorder("=")).reshape(np.shape(array))
        now = now.reshape(np.shape(found[key]))
        kinds = [f"{each.dtype} {list(each.shape)}" for each in (was, now)]
        require(kinds[0] == kinds[1], f"{key!r} was {kinds[0]} and comes back as {kinds[1]}")
        require(was.tobytes() == now.tobytes(), f"the values of {key!r} come back changed")
