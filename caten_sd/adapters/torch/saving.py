"""Save a distributed checkpoint from all processes, each its own shards, by torch's engine.

torch's own writer overwrites the files of the last checkpoint, so a process that dies destroys the
old one and does not leave a new one. Here new files get unused names, and the .metadata that names
them replaces the old .metadata last.
"""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.distributed.checkpoint.state_dict_saver as dcp
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemWriter, _StoragePrefix
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.planner import SavePlan

from caten_sd.errors import CatenError, FormatError
from caten_sd.files.file_set import FileSet
from caten_sd.files.format import Format
from caten_sd.files.stored_specs import stored_specs
from caten_sd.formats.torch.dcp_files import METADATA, SUFFIX, next_process, replaced_files
from caten_sd.formats.torch.dcp_metadata import EXTRA
from caten_sd.formats.torch.dcp_output import dcp_can_hold, extra_of
from caten_sd.state.leaf import Torch, as_array
from caten_sd.state.state_dict import StateDict


def save(path: Path, state_dict: StateDict, format: Format) -> None:
    """Write what all processes hold; the old checkpoint stays intact until all have written.

    FormatError if a process fails or is lost.
    """
    folder = path.parent if path.name == METADATA else path
    keys = stored_specs(format, state_dict, dcp_can_hold)
    own = {key: as_array(Torch(), state_dict[key]).detach() for key in keys}
    writer = NumberedWriter(folder, state_dict.ties, extra_of(state_dict))
    try:
        dcp.save(own, storage_writer=writer)
    except CatenError:
        raise
    except (Exception, CheckpointException) as error:  # torch's is not an Exception
        why = str(error).strip().rpartition("\n")[2]
        raise FormatError(
            folder,
            f"its processes could not write it together ({why})",
            "no checkpoint was lost, so save again",
        ) from error
    finally:
        writer.files.end()


class NumberedWriter(FileSystemWriter):
    """torch's writer, but with unused names for new files and the metadata replaced last."""

    def __init__(self, folder: Path, ties: Mapping[str, str], extra: str) -> None:
        super().__init__(folder, sync_files=True, overwrite=True)
        self.files, self.ties, self.extra = FileSet(folder, METADATA), ties, extra
        self.old: list[str] = []

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """Create the folder."""
        self.files.folder.mkdir(parents=True, exist_ok=True)
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """Give every process a file that is new; only the first process calls this."""
        self.files.begin()
        self.old = replaced_files(self.files)
        first = next_process(self.files.names())
        prefixes = [f"__{number}_" for number in range(first, first + len(plans))]
        for prefix in prefixes:
            self.files.reserve(f"{prefix}0{SUFFIX}")
        return [
            dataclasses.replace(plan, storage_data=_StoragePrefix(prefix))
            for plan, prefix in zip(plans, prefixes, strict=True)
        ]

    def finish(self, metadata: Metadata, results: list[list[Any]]) -> None:
        """Replace the metadata in one step, then remove the files that it no longer names."""
        metadata.version = "1.0.0"
        metadata.storage_data = {each.index: each.storage_data for rank in results for each in rank}
        metadata.storage_meta = None  # torch's holds a path of this machine
        for name, kept in self.ties.items():
            _tie(metadata, name, kept)
        if self.extra:
            setattr(metadata, EXTRA, self.extra)
        with self.files.commit() as file:
            pickle.dump(metadata, file)
        self.files.remove(self.old)


def _tie(metadata: Metadata, name: str, kept: str) -> None:
    """Add a tied key, which torch looks up, that points at the records of the other."""
    metadata.state_dict_metadata[name] = metadata.state_dict_metadata[kept]
    if metadata.planner_data is not None:
        metadata.planner_data[name] = (name,)
    for index, place in list(metadata.storage_data.items()):
        if index.fqn == kept:
            metadata.storage_data[dataclasses.replace(index, fqn=name)] = place
