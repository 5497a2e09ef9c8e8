"""Walk over everything that a model declares, to move, list or switch it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import attrs
import torch
from attrs.exceptions import FrozenInstanceError

from caten_sd.errors import ModelError
from caten_sd.objects.checked_pairs import checked_pairs
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.owner import put, slots_of
from caten_sd.objects.slots import SlotKind
from caten_sd.state.keys import pytorch_style_dict_key

Visit = Callable[[torch.Tensor, SlotKind], torch.Tensor]


@attrs.define
class Walk:
    """Visit each leaf and each container once, however many names it has.

    ``visit(leaf, kind)`` returns the leaf that the slot is to hold, which may be the same one.
    ``enter(container)`` is called with each module and each other object that has slots.
    """

    visit: Visit = lambda leaf, kind: leaf
    enter: Callable[[Any], object] = lambda container: None
    # Both the original and the result: as long as the original is kept, no other object gets its
    # id.
    _seen: dict[int, tuple[Any, Any]] = attrs.field(factory=dict, init=False)

    def __call__(self, value: Any, kind: SlotKind = "state") -> Any:
        """Return the value that replaces this one; only a leaf or a tuple is ever replaced."""
        if id(value) not in self._seen:
            self._seen[id(value)] = value, value  # a container that holds itself ends here
            self._seen[id(value)] = value, self._walked(value, kind)
        return self._seen[id(value)][1]

    def _walked(self, value: Any, kind: SlotKind) -> Any:
        if isinstance(value, torch.Tensor):
            return self.visit(value, kind)
        if isinstance(value, tuple):
            return self._tuple(value, kind)
        slots = slots_of(value)
        if slots is None:
            return self._other(value, kind)
        self.enter(value)
        for name, old, own_kind in list(slots):
            if own_kind == "cache":
                continue
            new = self(old, kind if own_kind == "state" else own_kind)
            if new is not old:
                _replace(value, name, new)
        return value

    def _tuple(self, value: tuple[Any, ...], kind: SlotKind) -> Any:
        items = [self(item, kind) for item in value]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)

    def _other(self, value: Any, kind: SlotKind) -> Any:
        """Visit the leaves that `to_state_dict` gives for an object of any other class."""
        root: list[Any] = [type(value).__name__]
        for path, leaf in checked_pairs(value, root, to_state_dict(value, root)):
            if isinstance(leaf, torch.Tensor) and self(leaf, kind) is not leaf:
                raise ModelError(
                    f"{pytorch_style_dict_key(path)} cannot be replaced, and a tensor on another "
                    f"kind of device is a new one; hold it in an attrs slot, a list or a dict"
                )
        return value


def _replace(owner: Any, name: Any, new: Any) -> None:
    try:
        put(owner, name, new)
    except (FrozenInstanceError, dataclasses.FrozenInstanceError):
        # A frozen instance is moved too, since its values stay equal.
        object.__setattr__(owner, name, new)
