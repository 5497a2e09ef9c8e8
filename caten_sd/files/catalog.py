"""Which formats there are: the files of ``formats/``, and other subclasses of Format."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Iterator
from pathlib import Path

from caten_sd.errors import FormatError
from caten_sd.files.diagnosis import foreign_kind
from caten_sd.files.format import Format, recognize
from caten_sd.state.source import Folder, Source
from caten_sd.wording import first_few

FORMATS_PACKAGE = "caten_sd.formats"


@functools.cache
def _module_names() -> tuple[str, ...]:
    package = importlib.import_module(FORMATS_PACKAGE)
    names = {Path(entry).stem for place in package.__path__ for entry in os.listdir(place)}
    return tuple(sorted(name for name in names if name.isidentifier() and name[0] != "_"))


def formats(first: str = "") -> Iterator[Format]:
    """Yield every format once, the one whose file is called ``first`` before the others.

    A module is imported only when its turn comes, so that the usual file pays for one.
    """
    names = _module_names()
    seen: set[type[Format]] = set()
    for name in sorted(names, key=lambda name: name != first):
        module = importlib.import_module(f"{FORMATS_PACKAGE}.{name}")
        for kind in vars(module).values():
            if not (isinstance(kind, type) and issubclass(kind, Format) and kind.name):
                continue
            if kind.__module__.startswith(module.__name__) and kind not in seen:
                seen.add(kind)
                yield kind()
    for kind in Format.__subclasses__():
        if kind not in seen and kind.name:
            yield kind()


def find_format(source: Source | Folder) -> Format:
    """Return the format that recognises what the source holds; its name only orders the questions.

    Where none does, the format of the suffix is returned if there is one, since its reader can say
    what is wrong; otherwise FormatError says what the source really is.
    """
    suffix = Path(source.name).suffix.lower()
    for format in formats(suffix[1:]):
        if recognize(format, source):
            return format
    known = ", ".join(sorted(format.name for format in formats()))
    if isinstance(source, Folder):
        there = first_few(source.names(), 8) or "nothing"
        problem = f"no file in it makes it a checkpoint; it holds {there}"
        raise FormatError(source.name, problem, f"known are {known}")
    if (kind := foreign_kind(source)) is not None:
        raise kind
    for format in formats(suffix[1:]):
        if suffix in format.suffixes:
            return format
    raise FormatError(source.name, "it is none of the known formats", f"they are {known}")


def file_suffixes() -> tuple[str, ...]:
    """Return the suffixes of the formats whose one file holds a whole model."""
    each = (format for format in formats() if not format.many and format.name != "npy")
    return tuple(sorted({suffix for format in each for suffix in format.suffixes}))


def format_of_target(path: Path, *, folder: bool = False) -> Format:
    """Return the format that the path's suffix names; FormatError if there is none.

    A folder, or a path without a suffix, gets the format whose suffix is "/" where no other fits.
    """
    known = list(formats(path.suffix.lower()[1:]))
    name = path.name.lower() + "/" * folder
    for format in known:
        if any(name.endswith(suffix) for suffix in format.suffixes if suffix != "/"):
            return format
    if folder or not path.suffix:
        for format in known:
            if "/" in format.suffixes:
                return format
    suffixes = sorted({suffix for format in known for suffix in format.suffixes} - {"/"})
    raise FormatError(
        path,
        "its suffix names no format",
        f"use one of {', '.join(suffixes)}, or end it in / for a folder of shards",
    )
