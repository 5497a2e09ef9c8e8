"""The two states that a verb is given: state dicts, locations or live models."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from caten_sd.errors import StateDictError
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.objects.extract import get_state_dict
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.live_mapping import is_live_mapping
from caten_sd.state.state_dict import StateDict, as_state_dict


@contextlib.contextmanager
def given_states(a: Any, b: Any, *, done: str) -> Iterator[tuple[StateDict, StateDict]]:
    """Yield the states of A and B; files that are opened for it are closed at the end.

    ``done`` is what an error says that cannot be done to a side without tensors: "compared".
    """
    with contextlib.ExitStack() as files:
        here, there = (_state(given, files) for given in (a, b))
        for side, state in (("A", here), ("B", there)):
            if not any(spec_or_none(leaf) for leaf in state.values()):
                raise no_tensors(side, "no tensors", done)
        yield here, there


def _state(given: Any, files: contextlib.ExitStack) -> StateDict:
    if isinstance(given, Mapping) and not is_live_mapping(given):
        return as_state_dict(given)
    if isinstance(given, (str, os.PathLike)):
        return files.enter_context(read_state_dict(given))
    return get_state_dict(given)


def no_tensors(side: str, found: str, done: str) -> StateDictError:
    """Return the error that says of a side what it has instead of the tensors that are needed."""
    return StateDictError(
        f"{side} has {found}, so nothing can be {done}; name the file, the tree or the model that "
        f"has the weights"
    )
