"""A distributed checkpoint written by all processes, each its own shards, through torch's engine.

torch's own writer puts new files over those of the checkpoint that is live, so that a process that
dies leaves neither. Here they have names of their own until one file says that they count.
"""

from __future__ import annotations

import dataclasses
import pickle
import re
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
from caten_sd.files.format import Format, stored_specs
from caten_sd.files.sidecar import EMPTY
from caten_sd.formats.torch.dcp_metadata import EXTRA
from caten_sd.formats.torch.pickle_output import torch_holds
from caten_sd.state.leaf import Spec, Torch, as_array
from caten_sd.state.state_dict import StateDict

METADATA, SUFFIX = ".metadata", ".distcp"
_RANK = re.compile(r"__([0-9]{1,6})_[0-9]+\.distcp")


def save(path: Path, state_dict: StateDict, format: Format) -> None:
    """Write what all processes hold; what was at the path stays whole until all have written.

    FormatError where that failed, or a process was lost.
    """
    folder = path.parent if path.name == METADATA else path
    keys = stored_specs(format, state_dict, _holds)
    own = {key: as_array(Torch(), state_dict[key]).detach() for key in keys}
    record = EMPTY._replace(ties=dict(state_dict.ties), metadata=dict(state_dict.metadata))
    writer = NumberedWriter(folder, state_dict.ties, record.to_json().decode() if record else "")
    try:
        dcp.save(own, storage_writer=writer)
    except CatenError:
        raise
    except (Exception, CheckpointException) as error:  # torch's is no Exception
        why = str(error).strip().rpartition("\n")[2]
        raise FormatError(
            folder,
            f"its processes could not write it together ({why})",
            "what was there before is whole, so save again",
        ) from error


def _holds(known: Spec) -> bool:
    return known.dtype.itemsize > 0 and torch_holds(known)


class NumberedWriter(FileSystemWriter):
    """torch's writer, with files beside those that are live and the metadata put in place last."""

    def __init__(self, folder: Path, ties: Mapping[str, str], extra: str) -> None:
        super().__init__(folder, sync_files=True, overwrite=True)
        self.files, self.ties, self.extra = FileSet(folder), ties, extra
        self.before: list[str] = []

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """Make the folder."""
        self.files.folder.mkdir(parents=True, exist_ok=True)
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """Give every process a number that no file has; called in the first process alone."""
        self.before = [name for name in self.files.names() if name.endswith(SUFFIX)]
        numbers = [int(found[1]) for name in self.before if (found := _RANK.fullmatch(name))]
        first = max(numbers, default=-1) + 1
        return [
            dataclasses.replace(plan, storage_data=_StoragePrefix(f"__{number}_"))
            for number, plan in enumerate(plans, first)
        ]

    def finish(self, metadata: Metadata, results: list[list[Any]]) -> None:
        """Put the metadata in place in one step, then remove the files that it no longer names."""
        metadata.version = "1.0.0"
        metadata.storage_data = {each.index: each.storage_data for rank in results for each in rank}
        metadata.storage_meta = None  # torch's names this machine's path
        for name, kept in self.ties.items():
            _tie(metadata, name, kept)
        if self.extra:
            setattr(metadata, EXTRA, self.extra)
        with self.files.commit(METADATA) as file:
            pickle.dump(metadata, file)
        self.files.remove(self.before)


def _tie(metadata: Metadata, name: str, kept: str) -> None:
    """Add a further name of a tensor, which torch looks for, as a second way to its records."""
    metadata.state_dict_metadata[name] = metadata.state_dict_metadata[kept]
    if metadata.planner_data is not None:
        metadata.planner_data[name] = (name,)
    for index, place in list(metadata.storage_data.items()):
        if index.fqn == kept:
            metadata.storage_data[dataclasses.replace(index, fqn=name)] = place
