"""Distributed tensors: this process's shard, and agreement between processes.

Nothing here knows torch.distributed: an adapter adds the methods for its divided types.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from caten_sd.dispatch.generic import generic
from caten_sd.errors import CatenError, LoadError


class ProcessGroup(Protocol):
    """Processes that hold leaves together. All of them must call a method, or it hangs."""

    def agree(self, refusal: str, plan: object = None) -> str:
        """Return why a process cannot go on, or "" if all can and their plans are equal."""

    def largest(self, numbers: Sequence[float]) -> list[float]:
        """Return the largest value of each number over all processes."""

    def write(self, format: Any, path: Path, state_dict: Any, options: Mapping[str, Any]) -> bool:
        """Write a state dict together; return False if one process can write it alone."""


class LocalShard:
    """The shard of a place that lies in this process: ``place`` is what is written into.

    This class is for a place that is not divided; its shard is all of it.
    """

    refusal = ""  # why no load can fill the place, whether or not it gets a new object

    def __init__(self, place: Any) -> None:
        self.place = place

    def slice_of(self, leaf: Any) -> Any:
        """Return the slice of a full-size leaf that belongs to this shard, without reading it."""
        return leaf

    def full(self, new: Any) -> Any:
        """Return the full-size leaf whose shard in this process is ``new``."""
        return new

    def processes(self, places: Sequence[Any]) -> ProcessGroup | None:
        """Return the processes that hold ``places`` of this type together, or None if one does."""
        return None


@generic
def local_shard(place: Any, /) -> LocalShard:
    """Return this process's shard of a place; all of it, unless a method says otherwise."""
    raise NotImplementedError


@local_shard.register(object)
def _undivided(place: Any, /) -> LocalShard:
    return LocalShard(place)


def is_divided(place: type) -> bool:
    """Return whether places of a class may lie in several processes."""
    return local_shard.dispatch(place) is not _undivided


def process_group_of(leaves: Iterable[Any]) -> ProcessGroup | None:
    """Return the processes that hold any of these leaves together, or None."""
    by_type: dict[type, list[Any]] = {}
    for leaf in leaves:
        by_type.setdefault(type(leaf), []).append(leaf)
    groups = (local_shard(same[0]).processes(same) for same in by_type.values())
    return next((group for group in groups if group is not None), None)


@contextlib.contextmanager
def agreeing(processes: ProcessGroup | None, plan: object = None) -> Iterator[None]:
    """Fail in every process if the body fails in one, or if the plans are not equal."""
    try:
        yield
    except Exception as error:
        _announce(processes, error)
        raise
    if processes is not None and (reason := processes.agree("", plan)):
        raise LoadError(f"{reason}; nothing was changed in any process")


@contextlib.contextmanager
def refusing_together(leaves: Callable[[], Iterable[Any]]) -> Iterator[None]:
    """If the body fails, say so to the other processes, which wait to agree on a plan."""
    try:
        yield
    except Exception as error:
        with contextlib.suppress(CatenError):
            _announce(process_group_of(leaves()), error)
        raise


def _announce(processes: ProcessGroup | None, error: Exception) -> None:
    if processes is not None:
        with contextlib.suppress(CatenError):  # a process that is lost cannot be reached
            processes.agree(str(error) or type(error).__name__)
