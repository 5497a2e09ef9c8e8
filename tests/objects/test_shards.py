"""Local shards, and agreement between processes, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from caten_sd import load_state_dict
from caten_sd.errors import LoadError
from caten_sd.objects.shards import (
    LocalShard,
    agreeing,
    local_shard,
    process_group_of,
    refusing_together,
)


class Processes:
    """A process group whose other members answer ``others``."""

    def __init__(self, others: str = "") -> None:
        self.others = others
        self.heard: list[str] = []

    def agree(self, refusal: str, plan: object = None) -> str:
        self.heard.append(refusal)
        return refusal or self.others

    def largest(self, numbers: Sequence[float]) -> list[float]:
        return list(numbers)

    def write(self, *arguments: Any) -> bool:
        return False


class Held(np.ndarray[Any, Any]):
    """An array that several processes hold together."""

    processes: Processes | None = None


class HeldShard(LocalShard):
    """All of the array, which the processes hold together."""

    def processes(self, places: Sequence[Held]) -> Processes | None:
        return places[0].processes


@local_shard.register(Held)
def _shard(place: Held, /) -> LocalShard:
    return HeldShard(place)


def held(processes: Processes) -> Held:
    array = np.zeros(2).view(Held)
    array.processes = processes
    return array


def test_the_shard_of_an_undivided_place_is_all_of_it() -> None:
    place, leaf = np.zeros(2), object()
    own = local_shard(place)
    assert own.place is place
    assert own.slice_of(leaf) is leaf
    assert own.full(leaf) is leaf
    assert process_group_of([place, 3, None]) is None


def test_the_first_group_among_the_leaves_is_returned() -> None:
    processes = Processes()
    assert process_group_of([np.zeros(1), held(processes)]) is processes


def test_a_failure_is_announced_once_and_raised_unchanged() -> None:
    processes = Processes()
    with pytest.raises(ValueError, match="no"), agreeing(processes):
        raise ValueError("no")
    with pytest.raises(ValueError, match="never"), refusing_together(lambda: [held(processes)]):
        raise ValueError("never")
    assert processes.heard == ["no", "never"]


def test_a_load_that_fails_in_another_process_changes_nothing() -> None:
    place = held(Processes("process 3 refuses: its disk is gone"))
    with pytest.raises(LoadError, match=r"process 3 refuses: .*; nothing was changed in any"):
        load_state_dict({"w": place}, {"w": np.ones(2)})
    assert not place.any()
    place.processes = Processes()
    load_state_dict({"w": place}, {"w": np.ones(2)})
    assert place.all()
    assert place.processes.heard == [""]
