"""A folder with one checkpoint file, and perhaps a tokenizer and a config.json."""

from __future__ import annotations

from caten_sd.errors import FormatError
from caten_sd.files.catalog import file_suffixes, find_format
from caten_sd.files.folder_entry import find_entry
from caten_sd.files.format import Contents, Format, read, recognize
from caten_sd.state.source import Folder


class OneInFolder(Format):
    """A folder with one checkpoint file; read only."""

    name = "folder"
    sources = ("folder",)


@recognize.register(OneInFolder, Folder)
def _recognize(format: OneInFolder, folder: Folder, /) -> str | None:
    if any(name.endswith(".distcp") for name in folder.names()):
        return None  # Megatron's common.pt lies next to the tensors, and holds none
    entry = find_entry(folder, file_suffixes())
    return f"{entry.name} in it" if entry and not entry.is_set else None


@read.register(OneInFolder, Folder)
def _read(format: OneInFolder, folder: Folder, /) -> Contents:
    entry = find_entry(folder, file_suffixes())
    if entry is None:
        raise FormatError(folder.name, "it has no checkpoint file", "open a file by its own path")
    member = folder.member(entry.name)
    inner = find_format(member)
    contents = read(inner, member)
    return contents._replace(
        origin=f"{contents.origin or inner.name}, {entry.name} in the {folder.kind}"
    )
