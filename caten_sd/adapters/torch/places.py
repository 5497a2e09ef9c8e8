"""How values get into torch: copied into tensors, put into slots, handed to extra state."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from caten_sd.place import Slot, assign
from caten_sd.tensor import Torch, as_array


@assign.register(torch.Tensor)
def _copy_into(place: torch.Tensor, leaf: Any, /) -> None:
    with torch.no_grad():
        place.copy_(as_array(Torch(), leaf).reshape(place.shape))


@assign.around(Slot)
def _set_extra_state(call_next_method: Any, slot: Slot, leaf: Any, /) -> None:
    if slot.name == "_extra_state" and isinstance(slot.owner, nn.Module):
        slot.owner.set_extra_state(leaf)
    else:
        call_next_method(slot, leaf)
