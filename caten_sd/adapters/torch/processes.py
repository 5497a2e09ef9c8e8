"""The processes of device meshes, which agree on a load and save together."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh

from caten_sd.adapters.torch.dtensor import Divided, has_all_values
from caten_sd.errors import LoadError, StateDictError
from caten_sd.files.format import Format
from caten_sd.formats.torch.dcp import Dcp
from caten_sd.state.state_dict import StateDict


class Processes:
    """The processes of these meshes; all of them must call each method."""

    def __init__(self, meshes: Sequence[DeviceMesh]) -> None:
        # Over several meshes a value reaches every process only in a second round.
        once = [(mesh, n) for mesh in meshes for n in range(mesh.ndim)]
        self.dimensions = once if len(meshes) == 1 else once * 2

    def agree(self, refusal: str, plan: object = None) -> str:
        """Return why one of the processes cannot go on, or "" where all can, with equal plans."""
        with _naming_lost_process():
            digest = zlib.crc32(repr(plan).encode())
            refused, highest, lowest = self._largest([bool(refusal), digest, -digest])
            if refused:
                return self._reason(refusal)
        if highest != -lowest:
            return (
                "the plans of the processes are not equal, so they were given different models or "
                "files: give every process the same"
            )
        return ""

    def _reason(self, refusal: str) -> str:
        refusals: dict[int, str] = {dist.get_rank(): refusal}
        for mesh, dimension in self.dimensions:
            group = mesh.get_group(dimension)
            received: list[Any] = [None] * dist.get_world_size(group)
            dist.all_gather_object(received, refusals, group=group)
            refusals = {rank: reason for each in received for rank, reason in each.items()}
        rank, reason = min((rank, reason) for rank, reason in refusals.items() if reason)
        return f"process {rank} refuses: {reason}"

    def largest(self, numbers: Sequence[float]) -> list[float]:
        """Return the largest of each number over the processes."""
        with _naming_lost_process():
            return self._largest(numbers)

    def _largest(self, numbers: Sequence[float]) -> list[float]:
        device = self.dimensions[0][0].device_type
        dtype = torch.float32 if device == "mps" else torch.float64
        values = torch.tensor(numbers, dtype=dtype, device=device)
        for mesh, dimension in self.dimensions:
            dist.all_reduce(values, dist.ReduceOp.MAX, group=mesh.get_group(dimension))
        found: list[float] = values.tolist()
        return found

    def write(
        self, format: Format, path: Path, state_dict: StateDict, options: Mapping[str, Any]
    ) -> bool:
        """Write a distributed checkpoint; return False for a file that one process can write.

        StateDictError if a tensor is divided and the format is one that a single process writes.
        """
        if isinstance(format, Dcp):
            from caten_sd.adapters.torch.saving import save

            save(path, state_dict, format, **options)
            return True
        divided = (key for key, leaf in state_dict.items() if isinstance(leaf, Divided))
        for key in divided:
            if not has_all_values(state_dict[key]):
                raise StateDictError(
                    f"{key} is divided among processes, and a {format.name} file is written by "
                    f"one: write to a path that ends in .dcp, or gather it with full_tensor()"
                )
        return False


@contextlib.contextmanager
def _naming_lost_process() -> Iterator[None]:
    """Raise LoadError where torch reports an error of the network: another process has ended."""
    try:
        yield
    except RuntimeError as error:
        why = str(error).partition("\n")[0]
        raise LoadError(f"another process has ended ({why}); nothing was changed") from error
