"""Which formats there are: the files of ``formats/``, and other subclasses of Format.

A package announces a module with such a subclass by an entry point of the group
``caten_sd.formats``. Those modules are imported last, since looking for them takes time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from caten_sd.dispatch.foreign import ForeignPackages
from caten_sd.errors import FormatError
from caten_sd.files.declarations import FORMATS_PACKAGE, Declaration, built_in_formats
from caten_sd.files.format import Format, recognize
from caten_sd.state.source import Folder, Source

_PLUG_INS = ForeignPackages(FORMATS_PACKAGE, FORMATS_PACKAGE)


def formats() -> Iterator[Format]:
    """Yield every format once; a module is imported only when its turn comes."""
    for each in _known():
        yield each.load()


def _known(name: str = "") -> Iterator[Declaration]:
    """Yield every format, those with a suffix that ``name`` ends in first."""
    first: list[Declaration] = []
    for each in chain(built_in_formats(name), _other_formats()):
        if _has_suffix(name, each):
            first.append(each)
            yield each
    if not first and "." in Path(name).name:
        first += [each for each in _announced_formats() if _has_suffix(name, each)]
        yield from first
    for each in chain(built_in_formats(), _announced_formats()):
        if each not in first:
            yield each


def _announced_formats() -> Iterator[Declaration]:
    """Yield the formats outside the package, once every entry point is loaded."""
    _PLUG_INS.load_entry_points()
    yield from _other_formats()


def _other_formats() -> Iterator[Declaration]:
    for kind in Format.__subclasses__():
        if kind.name and not kind.__module__.startswith(f"{FORMATS_PACKAGE}."):
            yield Declaration(kind.__module__, kind, kind)


def _broken_plug_ins() -> str:
    """Return what to add to an error that says which formats are known."""
    found = sorted(_PLUG_INS.failures.items())
    return "".join(f"; the plug-in {name!r} cannot be imported ({why})" for name, why in found)


def _has_suffix(name: str, format: Declaration) -> bool:
    """Return whether a name ends in a suffix of the format, other than the "/" of any folder."""
    return any(suffix != "/" and name.endswith(suffix) for suffix in format.attributes.suffixes)


def named_format(name: str) -> Format | type[Format] | None:
    """Return the attributes of the format whose suffix a name ends in; None if there is none."""
    first = next(_known(name.lower()))
    return first.attributes if _has_suffix(name.lower(), first) else None


def format_called(format: Format | str | None) -> Format | None:
    """Return the format of this name; FormatError names the known ones if there is none."""
    if not isinstance(format, str):
        return format
    for each in _known():
        if each.attributes.name == format:
            return each.load()
    known = ", ".join(sorted(repr(each.attributes.name) for each in _known())) + _broken_plug_ins()
    raise FormatError(f"format {format!r}", "it is not a format that is known", f"use {known}")


def find_format(source: Source | Folder) -> Format:
    """Return the format that recognizes the source; its name only decides which is asked first.

    If none does, the format of the suffix is returned, since its reader can say what is wrong. If
    there is none, FormatError says what the source really is.
    """
    if isinstance(source, Folder):
        kind, name = "folder", (source.index or f"{source.name}/").lower()
    else:
        kind, name = "file", source.name.lower()
    for each in _known(name):
        if kind in each.attributes.sources and recognize(format := each.load(), source):
            return format
    known = ", ".join(sorted(each.attributes.name for each in _known()))
    if (foreign := _foreign(source, known)) is not None:
        remedy = f"{foreign.remedy}{_broken_plug_ins()}".removeprefix("; ")
        raise FormatError(foreign.source, foreign.problem, remedy)
    for each in _known(name):
        if kind in each.attributes.sources and _has_suffix(name, each):
            return each.load()
    raise FormatError(
        source.name, "it is none of the known formats", f"they are {known}{_broken_plug_ins()}"
    )


def _foreign(source: Source | Folder, known: str) -> FormatError | None:
    """Return the error that says what a source of no known format is, if that can be told."""
    # A file that is recognized does not wait for the import of what tells all others apart.
    from caten_sd.files.diagnosis import diagnose
    from caten_sd.files.folders_below import no_checkpoint
    from caten_sd.files.foreign_members import foreign_folder

    if isinstance(source, Source):
        return diagnose(source)
    foreign = foreign_folder(source, misleading=False)
    return foreign or no_checkpoint(source, file_suffixes(), known)


def file_suffixes() -> tuple[str, ...]:
    """Return the suffixes of the formats whose one file holds a whole model."""
    known = (each.attributes for each in _known())
    whole = (format for format in known if not format.many and not format.one_leaf)
    return tuple(sorted({suffix for format in whole for suffix in format.suffixes}))


def is_one_file(members: Iterable[str]) -> bool:
    """Return whether an archive with these members is itself a file of some format."""
    names = "".join(f"{name}\0" for name in members)
    patterns = (each.attributes.member_names for each in _known())
    return any(pattern and re.search(pattern, names) for pattern in patterns)


def format_of_target(path: Path, *, folder: bool = False) -> Format:
    """Return the format that the path's suffix names; FormatError if there is none.

    If no suffix matches, a folder or a path without a suffix gets the format with the suffix "/".
    """
    name = path.name.lower() + "/" * folder
    known = list(_known(name))
    if _has_suffix(name, known[0]):
        return known[0].load()
    if folder or not path.suffix:
        for each in known:
            if "/" in each.attributes.suffixes:
                return each.load()
    written = [each.attributes.suffixes for each in known if not each.attributes.read_only]
    suffixes = sorted({*chain.from_iterable(written)} - {"/"})
    raise FormatError(
        path,
        "its suffix names no format",
        f"use one of {', '.join(suffixes)}, or end it in / for a folder of shards"
        f"{_broken_plug_ins()}",
    )
