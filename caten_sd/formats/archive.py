"""Archives: a .nemo, model.tar.gz, .tar or .zip that holds a checkpoint among other files.

Members of a tar and stored members of a zip are read where they are in the archive. A packed member
is unpacked into a temporary file without a name. Links are not followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from caten_sd.encodings.archive_folder import ArchivedSource, ArchiveFolder, Member
from caten_sd.encodings.spool import spooled
from caten_sd.encodings.tar_headers import (
    BLOCK,
    SourceStream,
    Stream,
    TarMember,
    first_name,
    is_tar,
    tar_members,
)
from caten_sd.encodings.zip_archive import ZipArchive, zip_names
from caten_sd.encodings.zip_directory import STORED
from caten_sd.errors import FormatError
from caten_sd.files.catalog import file_suffixes, find_format, is_one_file
from caten_sd.files.foreign_members import foreign_members
from caten_sd.files.format import Contents, Format, read, recognize, write
from caten_sd.files.shard_index import INDEX
from caten_sd.files.sidecar import RECORD_FILE
from caten_sd.state.header_memory import HeaderMemory
from caten_sd.state.source import Source
from caten_sd.wording import counted

_STEP = 1 << 20  # bytes
_OF_FOLDERS = (INDEX, ".metadata", ".distcp", ".npy", RECORD_FILE)
_PACKED_MEMBER = 1600  # bytes, and with them time, that a member of a packed tar takes
_MAX_TAIL = 1 << 20  # bytes that may follow the end mark of a tar: padding


class Archive(Format):
    """A tar, packed or not, or a zip, that holds one checkpoint; read only."""

    name = "archive"
    suffixes = (".nemo", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".zip")
    sources = ("file",)
    read_only = True
    holds_files = True


@write.register(Archive)
def _write(format: Archive, target: Any, state_dict: Any, /, **options: Any) -> None:
    raise FormatError("archive", "this format is only read", "write a checkpoint and pack it")


@recognize.register(Archive, Source)
def _recognize(format: Archive, source: Source, /) -> str | None:
    head = source.head(BLOCK)
    if is_tar(head):
        return None if is_one_file([first_name(head)]) else "the first header of a tar"
    if head.startswith(b"PK\3\4"):
        return _evidence_of_zip(source)
    from caten_sd.encodings.unpacking import Unpacking, compression

    if compression(source) is None:
        return None
    try:
        found = is_tar(Unpacking(source).take(BLOCK))
    except FormatError:  # it breaks off in the first block; its name then decides
        found = False
    return "a packed tar" if found or source.name.lower().endswith(format.suffixes) else None


@recognize.register(Archive, ArchivedSource)
def _recognize_nested(format: Archive, source: ArchivedSource, /) -> str | None:
    return None


def _evidence_of_zip(source: Source) -> str | None:
    """Return evidence for a zip that is not a file of another format."""
    names = zip_names(source)
    if not names or is_one_file(names):
        return None
    return f"a zip file of {counted(len(names), 'member')}"


@read.register(Archive, Source)
def _read(format: Archive, source: Source, /) -> Contents:
    folder = _folder(source)
    if source.inner and not source.inner.endswith(INDEX):
        member = folder.member(source.inner)
        inner = find_format(member)
        contents = read(inner, member)
        where = f"{source.inner} in the archive"
        return contents._replace(origin=f"{contents.origin or inner.name}, {where}")
    if not source.inner and (foreign := foreign_members(source.name, folder.names())):
        raise foreign
    view = _model_folder(folder, source.inner)
    inner = find_format(view)
    contents = read(inner, view)
    return contents._replace(origin=contents.origin or f"{inner.name} in the archive")


@read.register(Archive, ArchivedSource)
def _read_nested(format: Archive, source: ArchivedSource, /) -> Contents:
    raise FormatError(
        source.name, "it is an archive in an archive", "unpack the outer archive first"
    )


def _model_folder(folder: ArchiveFolder, index: str) -> ArchiveFolder:
    """Return the one folder of the archive that has an index, or else the whole archive."""
    indexes = [name for name in folder.names() if name.endswith((INDEX, ".metadata"))]
    places = {str(PurePosixPath(name).parent) for name in ([index] if index else indexes)}
    if index or len(places) == 1:
        place = places.pop()
        return folder.subfolder("" if place == "." else place, PurePosixPath(index).name)
    return folder


def _folder(source: Source) -> ArchiveFolder:
    if source.head(2) == b"PK":
        return ArchiveFolder(source.name, _zip_members(source))
    from caten_sd.encodings.unpacking import compression

    packed = compression(source) is not None
    return ArchiveFolder(source.name, _packed_members(source) if packed else _tar_members(source))


def _tar_members(source: Source) -> dict[str, Member]:
    members: dict[str, Member] = {}
    for known in tar_members(SourceStream(source)):
        window = partial(_window, source, known)
        _add(source, members, known.name, Member(known.kind, known.size, window))
    return members


def _window(source: Source, known: TarMember) -> Source:
    window = source.window(known.offset, known.size)
    return ArchivedSource.of(window, f"{source.name}::{known.name}")


def _packed_members(source: Source) -> dict[str, Member]:
    """Return the members of a packed tar; only those that may be checkpoints are unpacked."""
    from caten_sd.encodings.unpacking import Unpacking

    stream = Unpacking(source)
    wanted = (*file_suffixes(), *_OF_FOLDERS)
    members: dict[str, Member] = {}
    memory, end = HeaderMemory(source.name, source.size), 0
    for known in tar_members(stream):
        memory.take(_PACKED_MEMBER + 4 * (known.offset - end))  # a thousand fit in a kilobyte
        end = known.offset + known.size
        opening = partial(_not_unpacked, source, known.name)
        if known.kind == "file" and (known.name.endswith(wanted) or known.name == source.inner):
            opening = partial(_same, _unpacked(source, known.name, known.size, stream))
        _add(source, members, known.name, Member(known.kind, known.size, opening))
    if not stream.drain(_MAX_TAIL):  # the checksum is compared at the end
        raise FormatError(source.name, "bytes follow the end mark of its tar", "do not use it")
    return members


def _unpacked(source: Source, name: str, size: int, stream: Stream) -> ArchivedSource:
    copy = ArchivedSource.of(spooled(name, size, _pieces(stream, size)), f"{source.name}::{name}")
    source.adopt(copy)
    return copy


def _same(copy: Source) -> Source:
    return copy


def _pieces(stream: Stream, size: int) -> Iterator[bytes]:
    for start in range(0, size, _STEP):
        yield stream.take(min(_STEP, size - start))


def _not_unpacked(source: Source, name: str) -> Source:
    raise FormatError(
        source.name, f"its member {name!r} does not have the suffix of a checkpoint", "unpack it"
    )


def _zip_members(source: Source) -> dict[str, Member]:
    archive = ZipArchive.of(source)
    members: dict[str, Member] = {}
    for name in archive.names():
        entry = archive.entry(name)
        member = Member(
            "link" if entry.link else "file", entry.size, partial(_zip_member, archive, name)
        )
        _add(source, members, name.removeprefix("./"), member)
    return members


def _zip_member(archive: ZipArchive, name: str) -> Source:
    """Return a stored member where it is, and a packed one unpacked."""
    label = f"{archive.source.name}::{name}"
    entry = archive.entry(name)
    if entry.method == STORED:
        return ArchivedSource.of(archive.member(name), label)
    copy = ArchivedSource.of(spooled(label, entry.size, archive.inflated(name)), label)
    archive.source.adopt(copy)
    return copy


def _add(source: Source, members: dict[str, Member], name: str, member: Member) -> None:
    if name in members and member.kind != "folder":
        raise FormatError(source.name, f"it has two members named {name!r}", "do not use it")
    members.setdefault(name, member)
