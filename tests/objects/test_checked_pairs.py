"""What a method of to_state_dict returns is a list of pairs, or an error says what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from torch import nn

from caten_sd.errors import StateDictError
from caten_sd.objects.extract import get_state_dict, to_state_dict
from caten_sd.state.keys import Pair, Path
from caten_sd.training.training_state import TrainingState

W = np.zeros(2)


class Taught(nn.Module):
    """A module whose method returns what its function gives."""

    give: Callable[[Path], Any] = staticmethod(lambda parent: [([*parent, "w"], W)])


@to_state_dict.register(Taught)
def _pairs(obj: Taught, parent: Path, /) -> list[Pair]:
    given: list[Pair] = obj.give(parent)
    return given


@attrs.define
class Net:
    part: Any


def taught(give: Callable[[Path], Any]) -> Taught:
    made = Taught()
    made.give = give
    return made


def generator(parent: Path) -> Any:
    yield [*parent, "w"], W


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "nothing": (lambda parent: None, "returned None;"),
    "a dict": (lambda parent: {"w": W}, "returned a dict;"),
    "a state dict": (lambda parent: get_state_dict({"w": W}), "returned a StateDict;"),
    "a leaf": (lambda parent: W, "returned a ndarray;"),
    "a tensor": (lambda parent: torch.zeros(2), "returned a Tensor;"),
    "a number": (lambda parent: 3, "returned an int;"),
    "text": (lambda parent: "ab", "returned a str;"),
    "leaves": (lambda parent: [W], "returned a ndarray in place of a pair;"),
    "a triple": (lambda parent: [([*parent, "w"], W, 1)], "a tuple of 3 in place of a pair;"),
    "a key": (lambda parent: [("w", W)], "returned 'w' in place of a path;"),
    "a joined key": (lambda parent: [(".".join([*map(str, parent), "w"]), W)], "place of a path;"),
    "a number for a path": (lambda parent: [(0, W)], "returned an int in place of a path;"),
    "an odd step": (lambda parent: [([*parent, 1.5], W)], "a path with a float, not text"),
}
HOLDERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "the root": (lambda part: part, "the root"),
    "a dict": (lambda part: {"a": W, "part": part}, "'part'"),
    "a list": (lambda part: [W, part], "'1'"),
    "attrs": (Net, "'part'"),
    "a module": (lambda part: nn.ModuleDict({"part": part}), "'part'"),
    "a training": (lambda part: TrainingState(part), "'model'"),
}


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("how", WRONG)
def test_what_is_not_a_list_of_pairs_is_named_with_what_to_return(how: str, holder: str) -> None:
    give, words = WRONG[how]
    hold, place = HOLDERS[holder]
    with pytest.raises(StateDictError) as caught:
        get_state_dict(hold(taught(give)))
    text = str(caught.value)
    assert text.startswith(f"the to_state_dict method for {place}, a Taught, ")
    assert words in text
    assert text.endswith("return a list of pairs such as ([*parent, 'weight'], leaf)")
    assert "\n" not in text


@pytest.mark.parametrize("holder", [name for name in HOLDERS if name != "the root"])
def test_a_path_that_forgets_its_parent_is_named(holder: str) -> None:
    hold, place = HOLDERS[holder]
    with pytest.raises(StateDictError, match=rf"{place}, a Taught, returned the path \['w'\], wh"):
        get_state_dict(hold(taught(lambda parent: [(["w"], W)])))


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize(
    "give",
    [
        generator,
        lambda parent: (pair for pair in [([*parent, "w"], W)]),
        lambda parent: (((*parent, "w"), W),),
        lambda parent: {(*parent, "w"): W}.items(),
    ],
)
def test_pairs_may_come_from_a_generator_or_another_iterable(
    give: Callable[[Path], Any], holder: str
) -> None:
    part = taught(give)
    state = get_state_dict(HOLDERS[holder][0](part))
    assert [leaf for key, leaf in state.items() if key.rpartition(".")[2] == "w"] == [W]
