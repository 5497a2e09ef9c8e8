"""Places that several processes hold together: the share of this one, and what all agree on.

Nothing of torch.distributed is known here; adapters add the methods for the types that are divided.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from caten_sd.dispatch.generic import generic
from caten_sd.errors import CatenError, LoadError


class LocalShard:
    """What this process has of a place: ``place`` to write into, here all of it."""

    def __init__(self, place: Any) -> None:
        self.place = place

    def part(self, leaf: Any) -> Any:
        """Return the part of a leaf of the whole's shape that belongs into the share, unread."""
        return leaf

    def whole(self, new: Any) -> Any:
        """Return the new leaf for the slot whose share in this process is ``new``."""
        return new


@generic
def share(place: Any, /) -> LocalShard:
    """Return this process's share of a place, which is all of it unless its type says otherwise."""
    raise NotImplementedError


@share.register(object)
def _all_of_it(place: Any, /) -> LocalShard:
    return LocalShard(place)


class ProcessGroup(Protocol):
    """The processes that hold leaves together; each method is called by all of them or hangs."""

    def agree(self, refusal: str, plan: object = None) -> str:
        """Return why one of the processes cannot go on, or "" where all can, with equal plans."""

    def largest(self, numbers: Sequence[float]) -> list[float]:
        """Return the largest of each number over the processes."""

    def write(self, format: Any, path: Path, state_dict: Any, options: Mapping[str, Any]) -> bool:
        """Write a state dict together; False where it is one process's own affair."""


@generic
def group(leaf: Any, /, *, leaves: Sequence[Any]) -> ProcessGroup | None:
    """Return the processes that hold ``leaves``, all of one type, together; None for one alone."""
    raise NotImplementedError


@group.register(object)
def _alone(leaf: Any, /, *, leaves: Sequence[Any]) -> None:
    return None


def group_of(leaves: Iterable[Any]) -> ProcessGroup | None:
    """Return the processes that hold some of the leaves together, or None."""
    by_type: dict[type, list[Any]] = {}
    for leaf in leaves:
        by_type.setdefault(type(leaf), []).append(leaf)
    found = (group(same[0], leaves=same) for same in by_type.values())
    return next((each for each in found if each is not None), None)


@contextlib.contextmanager
def agreeing(processes: ProcessGroup | None, plan: object = None) -> Iterator[None]:
    """Refuse in every process what the body refuses in one of them, before any goes on.

    LoadError too where the plans of the processes are not equal.
    """
    try:
        yield
    except Exception as error:
        _tell(processes, error)
        raise
    if processes is not None and (reason := processes.agree("", plan)):
        raise LoadError(f"{reason}; nothing was changed in any process")


@contextlib.contextmanager
def refusing_together(leaves: Callable[[], Iterable[Any]]) -> Iterator[None]:
    """Tell the other processes, which wait for an agreement on their plan, that there is none."""
    try:
        yield
    except Exception as error:
        with contextlib.suppress(CatenError):
            _tell(group_of(leaves()), error)
        raise


def _tell(processes: ProcessGroup | None, error: Exception) -> None:
    if processes is not None:
        with contextlib.suppress(CatenError):  # a lost process hears nothing
            processes.agree(str(error) or type(error).__name__)
