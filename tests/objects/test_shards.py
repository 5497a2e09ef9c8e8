"""What a process has of a place, and what a party of processes agrees on, without any network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from caten_sd import load_state_dict
from caten_sd.errors import LoadError
from caten_sd.objects.shards import agreeing, group, group_of, refusing_together, share


class Party:
    """A group whose other members say what they are told to."""

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
    """An array that a party holds together."""

    party: Party | None = None


@group.register(Held)
def _party(leaf: Held, /, *, leaves: Sequence[Held]) -> Party | None:
    return leaves[0].party


def held(party: Party) -> Held:
    array = np.zeros(2).view(Held)
    array.party = party
    return array


def test_a_place_of_one_process_is_its_own_share() -> None:
    place, leaf = np.zeros(2), object()
    own = share(place)
    assert own.place is place
    assert own.part(leaf) is leaf
    assert own.whole(leaf) is leaf
    assert group_of([place, 3, None]) is None


def test_the_first_party_of_the_leaves_is_theirs() -> None:
    party = Party()
    assert group_of([np.zeros(1), held(party)]) is party


def test_a_refusal_is_told_once_and_stays_what_it_is() -> None:
    party = Party()
    with pytest.raises(ValueError, match="no"), agreeing(party):
        raise ValueError("no")
    with pytest.raises(ValueError, match="never"), refusing_together(lambda: [held(party)]):
        raise ValueError("never")
    assert party.heard == ["no", "never"]


def test_a_load_that_another_process_refuses_changes_nothing() -> None:
    place = held(Party("process 3 refuses: its disk is gone"))
    with pytest.raises(LoadError, match=r"process 3 refuses: .*; nothing was changed in any"):
        load_state_dict({"w": place}, {"w": np.ones(2)})
    assert not place.any()
    place.party = Party()
    load_state_dict({"w": place}, {"w": np.ones(2)})
    assert place.all()
    assert place.party.heard == [""]
