"""A checkpoint format: a value to dispatch on, and three generics to recognize, read and write it.

A format is one file in ``formats/``: a subclass of Format and methods on these generics. The verbs
over all formats are in ``checkpoint.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from caten_sd.dispatch.generic import generic
from caten_sd.state.source import Folder, Source
from caten_sd.state.state_dict import StateDict

ZIP = b"PK\3\4"  # how a zip file begins


class Format:
    """A checkpoint format as a value to dispatch on; subclass it, and register methods.

    The attributes of a format in ``formats/`` are literals, so that it is imported only for a file
    that may be its own. ``suffixes`` choose the format to write, and the first to ask when reading.
    """

    name: str = ""
    suffixes: tuple[str, ...] = ()  # one that ends in "/" is a folder's
    sources: tuple[str, ...] = ("file", "folder")  # what it is read from
    read_only: bool = False  # its writer refuses, and no error names its suffixes to write
    many: bool = False  # its writer is given the path, and replaces the files there itself
    one_leaf: bool = False  # a file holds one leaf and no key, so it is never a whole model
    binding: bool = False  # a shard with its suffix is an error unless it is of this format
    holds_metadata: bool = True  # next to the leaves, and so digests too
    reserved: tuple[str, ...] = ()  # how the entries of metadata begin that its writer makes itself
    holds_files: bool = False  # an archive; a path names its members after ``::``

    # A regular expression to find in the names of an archive's members (the first name only, for a
    # tar), each followed by a NUL. An archive in which it is found is a file of this format.
    member_names: str = ""

    def described(self, state_dict: StateDict, folder: Path) -> Described:
        """Return what its readers need besides the leaves, from the files next to their source."""
        return Described({}, {})

    def zip_files(self, source: Source | Folder) -> Iterator[Source]:
        """Yield the zip files in a source, whose checksums ``digest --check`` compares."""
        sources = [source] if isinstance(source, Source) else map(source.member, source.names())
        yield from (each for each in sources if each.head(len(ZIP)) == ZIP)


class Contents(NamedTuple):
    """What a file holds: a flat or nested mapping of names to leaves, metadata and ties.

    ``origin`` names the place in a folder or archive where it was found.
    ``whole`` says that all of the tree is one model, whatever its names look like: it was written
    from one state dict. ``imports`` are the names that a pickle in it would have imported, each
    with whether it is plain data. ``rest`` is what lies outside the tree, by name, as the constants
    of a program do.
    """

    tree: Any
    metadata: Mapping[str, Any]
    ties: Mapping[str, str] | None = None
    origin: str = ""
    whole: bool = False
    imports: Mapping[str, bool] = MappingProxyType({})
    rest: Mapping[str, Any] = MappingProxyType({})


class Described(NamedTuple):
    """What a format adds to the leaves of a layout: metadata, leaves, and what to say of them."""

    metadata: Mapping[str, Any]
    leaves: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@generic
def recognize(format: Any, source: Any, /) -> str | None:
    """Return the evidence that the source is of this format, or None; reads only a few bytes."""
    raise NotImplementedError


@recognize.register(Format)
def _no_evidence(format: Format, source: Any, /) -> str | None:
    return None


@generic
def read(format: Any, source: Any, /) -> Contents:
    """Read the headers and return lazy leaves; FormatError if anything is malformed."""
    raise NotImplementedError


@generic
def write(format: Any, target: Any, state_dict: Any, /, **options: Any) -> None:
    """Write one tensor at a time to a binary file that the caller makes atomic, or to a Path."""
    raise NotImplementedError
