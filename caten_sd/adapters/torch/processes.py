"""The processes of a device mesh as one party to a load or a save."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh

from caten_sd.adapters.torch.dtensor import Divided, is_whole
from caten_sd.errors import LoadError, StateDictError
from caten_sd.files.format import Format
from caten_sd.state.state_dict import StateDict


class Processes:
    """The processes of these meshes; every method is called by all of them."""

    def __init__(self, meshes: Sequence[DeviceMesh]) -> None:
        # Twice where there are several, so that what one of them says comes around to all.
        once = [(mesh, n) for mesh in meshes for n in range(mesh.ndim)]
        self.dimensions = once if len(meshes) == 1 else once * 2

    def agree(self, refusal: str, plan: object = None) -> str:
        """Return why one of the processes cannot go on, or "" where all can, with equal plans."""
        with _lost():
            digest = zlib.crc32(repr(plan).encode())
            refused, highest, lowest = self._largest([bool(refusal), digest, -digest])
            if refused:
                return self._reason(refusal)
        if highest != -lowest:
            return "the processes were given different models or files, their plans are not equal"
        return ""

    def _reason(self, refusal: str) -> str:
        said: dict[int, str] = {dist.get_rank(): refusal}
        for mesh, dimension in self.dimensions:
            group = mesh.get_group(dimension)
            heard: list[Any] = [None] * dist.get_world_size(group)
            dist.all_gather_object(heard, said, group=group)
            said = {rank: words for each in heard for rank, words in each.items()}
        rank, words = min((rank, words) for rank, words in said.items() if words)
        return f"process {rank} refuses: {words}"

    def largest(self, numbers: Sequence[float]) -> list[float]:
        """Return the largest of each number over the processes."""
        with _lost():
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
        """Write through torch.distributed.checkpoint; False for a file that one process can write.

        StateDictError for a divided tensor in any other format, which one process would write.
        """
        if format.name == "dcp":
            from caten_sd.adapters.torch.saving import save

            save(path, state_dict, format, **options)
            return True
        divided = (key for key, leaf in state_dict.items() if isinstance(leaf, Divided))
        for key in divided:
            if not is_whole(state_dict[key]):
                raise StateDictError(
                    f"{key} is divided among processes and {format.name} is written by one: write "
                    f"to a path that ends in .dcp, or gather it first with full_tensor()"
                )
        return False


@contextlib.contextmanager
def _lost() -> Iterator[None]:
    """Say that a process is gone, which torch says in the words of its network."""
    try:
        yield
    except RuntimeError as error:
        why = str(error).partition("\n")[0]
        raise LoadError(f"another process is lost ({why}); nothing was changed") from error
