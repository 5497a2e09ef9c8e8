"""``equinox.nn.State``: what layers such as BatchNorm change, by the path of the layer's index."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterator
from typing import Any

import equinox as eqx

from caten_sd.adapters.equinox.saved_order import name_by_position, saved_in_order
from caten_sd.errors import StateDictError
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.objects.owner import Slot, never_put, put, slots_of

# A step into a list or a dict, as JAX shows it: its index, or its key as a literal of Python.
_STEP = re.compile(r"""\[('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+)\]""")


@slots_of.register(eqx.nn.State)
def _slots(state: Any, /) -> Iterator[Slot]:
    if not isinstance(state._state, dict):
        raise StateDictError(
            "this State of Equinox was used up by its set(): use the State that set() returned"
        )
    for marker, value in state._state.items():
        yield _name(marker), value, "buffer"


put.register(eqx.nn.State)(never_put)


class _UnnamedStatistics(OwnerHooks):
    adapts = True

    def adapt(self, *, prefix: str, leaves: dict[str, Any], source: Any) -> None:
        items = self.owner._state.items()
        saved = [each for key, value in items for each in saved_in_order(value, _name(key))]
        name_by_position(self.owner, saved, prefix, leaves, source)


@hooks_of.register(eqx.nn.State)
def _hooks(state: Any, /) -> OwnerHooks:
    return _UnnamedStatistics(state)


def _name(marker: Any) -> str:
    """Return the path of the index in its model, which the marker says after the model's class."""
    if not isinstance(marker, str):
        raise StateDictError(
            "the layers of this State of Equinox have no names yet: build model and state with "
            "equinox.nn.make_with_state(Model)(...)"
        )
    return _STEP.sub(lambda step: f".{literal_eval(step[1])}", marker).partition(".")[2]
