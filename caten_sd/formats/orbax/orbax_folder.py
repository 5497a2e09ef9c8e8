"""Orbax: the folders in which JAX programs keep their trees of arrays.

Source: orbax.checkpoint 0.12.8. It is read without jax, tensorstore or orbax: OCDBT, zarr 2 and
zarr 3, packed with zstd by the extra ``orbax``. It is written as zarr 2, unpacked and so mapped.
"""

from __future__ import annotations

from pathlib import Path

from caten_sd.files.format import Contents, Format, read, recognize, write
from caten_sd.formats.orbax.folder_below import FolderBelow
from caten_sd.formats.orbax.orbax_steps import evidence
from caten_sd.state.source import Folder
from caten_sd.state.state_dict import StateDict


class Orbax(Format):
    """A checkpoint of Orbax: an item, a step with its items, or a folder of steps."""

    name = "orbax"
    suffixes = (".orbax", ".orbax/")
    sources = ("folder",)
    many = True


@recognize.register(Orbax, Folder)
def _recognize(format: Orbax, folder: Folder, /) -> str | None:
    return evidence(FolderBelow(folder)) if folder.kind == "folder" else None


@read.register(Orbax, Folder)
def _read(format: Orbax, folder: Folder, /) -> Contents:
    from caten_sd.formats.orbax.orbax_reading import read_orbax  # not for what is not of Orbax

    return read_orbax(format, FolderBelow(folder))


@write.register(Orbax)
def _write(format: Orbax, target: Path, state_dict: StateDict, /) -> None:
    from caten_sd.formats.orbax.orbax_output import write_orbax

    write_orbax(format, target, state_dict)
