"""The records of a torch distributed checkpoint: one ``torch.save`` for each box of a tensor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from operator import sub
from typing import Any, NoReturn

from caten_sd.errors import FormatError
from caten_sd.files.catalog import find_format
from caten_sd.files.format import Format, read, recognize
from caten_sd.files.which_tree import model_tree
from caten_sd.formats.torch.dcp_metadata import Chunk
from caten_sd.formats.torch.dcp_objects import Record
from caten_sd.formats.torch.zip import TorchZip
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import spec
from caten_sd.state.source import Folder, Source
from caten_sd.state.tiles import Sizes, Tile

_ZIP = TorchZip()


def refuse(folder: Folder, problem: str) -> NoReturn:
    """Raise the error that names the checkpoint and what is wrong with it."""
    raise FormatError(folder.name, problem, "get the missing files of every process")


def _format_of(window: Source) -> Format:
    """Return the format of a record: torch's zip, unless a very old torch wrote it."""
    return _ZIP if recognize(_ZIP, window) else find_format(window)


class RecordFolder:
    """The folder of a checkpoint, and the sizes of the files in it that hold records."""

    def __init__(self, folder: Folder, paths: Iterable[str]) -> None:
        self.folder = folder
        self.sizes: Mapping[str, int] = {
            path: folder.size(path) for path in paths if folder.has(path)
        }

    def tile(self, key: str, chunk: Chunk, dtype: DType) -> Tile:
        """Return a box of a tensor, unread; FormatError if its record cannot hold it."""
        record = chunk.record
        assert record is not None
        box = tuple(map(sub, chunk.stop, chunk.start))
        end = record.offset + record.length
        if end > self.sizes[record.path]:
            refuse(self.folder, f"{key}: {record.path} ends before byte {end}")
        if dtype.nbytes(math.prod(box)) > record.length:
            refuse(self.folder, f"{key}: {record.length} bytes cannot hold {dtype} {list(box)}")
        return Tile(chunk.start, chunk.stop, _RecordLeaf(self, key, record, dtype, box))

    def open_record(self, key: str, record: Record, dtype: DType, box: Sizes) -> Any:
        """Return the leaf in a record, which must be a torch.save of exactly the box."""
        name = f"{self.folder.name}/{record.path}, {key}"
        window = self.folder.member(record.path).window(record.offset, record.length, name)
        leaves = model_tree(read(_format_of(window), window).tree, name).leaves
        leaf = leaves.get("")  # a tensor that is saved by itself has no name
        if leaf is None or len(leaves) > 1 or spec(leaf)[:2] != (box, dtype):
            found = "no tensor by itself" if leaf is None else leaf
            refuse(self.folder, f"{key}: its record in {record.path} is {found}, not {dtype} {box}")
        return leaf


class _RecordLeaf:
    """Opens the leaf in a record, once in each process: a pickle has what it takes to open it."""

    __slots__ = ("_found", "_wanted")

    def __init__(self, *wanted: Any) -> None:
        self._wanted, self._found = wanted, None

    def __reduce__(self) -> tuple[Any, ...]:
        return _RecordLeaf, self._wanted

    def __call__(self) -> Any:
        if self._found is None:
            records, *rest = self._wanted
            self._found = records.open_record(*rest)
        return self._found
