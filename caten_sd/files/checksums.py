"""Compare all data of a checkpoint with the checksums that its zip files hold.

Each record of a torch distributed checkpoint is a zip file too.

A CRC-32 takes five times as long as a load (2 GB/s), so a load does not compute it. What describes
the data (a pickle, a record), each deflated member and each whole array of an npz is always
compared.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from caten_sd.encodings.zip_archive import ZipArchive
from caten_sd.errors import FormatError
from caten_sd.files.catalog import find_format
from caten_sd.files.checkpoint import open_source
from caten_sd.state.source import Source


def compare_checksums(path: str | os.PathLike[str]) -> int:
    """Return how many members equal the CRC-32 that their zip file holds for them.

    FormatError at the first one that differs, or if nothing in the checkpoint has a checksum.
    """
    with closing(open_source(Path(path))) as source:
        count = sum(map(_compared, find_format(source).zip_files(source)))
        if not count:
            raise FormatError(
                source.name,
                "it holds no checksums of its data that can be compared",
                "compare its digest with one that you trust",
            )
    return count


def _compared(source: Source) -> int:
    archive = ZipArchive(source)
    names = archive.names()
    for name in names:
        archive.check(name)
    return len(names)
