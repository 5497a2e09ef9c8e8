"""One pass over everything a model declares; moving, listing and switching are all this pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import attrs
import torch

from caten_sd.errors import ModelError
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.slots import SlotKind, slot_kind
from caten_sd.state.keys import pytorch_style_dict_key

Visit = Callable[[torch.Tensor, SlotKind], torch.Tensor]


@attrs.define
class Walk:
    """Visits each leaf and each container once, however many names they have.

    ``visit(leaf, kind)`` returns the leaf to keep in its place: itself, to leave the place alone.
    ``enter(container)`` is told of each module and each other object with slots.
    """

    visit: Visit = lambda leaf, kind: leaf
    enter: Callable[[Any], object] = lambda container: None
    # The originals are kept beside the results, so that no id is used again during the walk.
    _seen: dict[int, tuple[Any, Any]] = attrs.field(factory=dict, init=False)

    def __call__(self, value: Any, kind: SlotKind = "state") -> Any:
        """Return what takes the value's place; only a leaf or a tuple can be replaced."""
        if id(value) not in self._seen:
            self._seen[id(value)] = value, value  # a container that holds itself ends here
            self._seen[id(value)] = value, self._step(value, kind)
        return self._seen[id(value)][1]

    def _step(self, value: Any, kind: SlotKind) -> Any:
        if isinstance(value, torch.Tensor):
            return self.visit(value, kind)
        if isinstance(value, tuple):
            return self._tuple(value, kind)
        put = _putter(value)
        if put is None:
            return self._other(value, kind)
        self.enter(value)
        for place, part, own in list(_parts(value)):
            result = self(part, kind if own == "state" else own)
            if result is not part:
                put(place, result)
        return value

    def _tuple(self, value: tuple[Any, ...], kind: SlotKind) -> Any:
        parts = [self(part, kind) for part in value]
        if all(new is old for new, old in zip(parts, value, strict=True)):
            return value
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)

    def _other(self, value: Any, kind: SlotKind) -> Any:
        """Ask `to_state_dict` for the leaves of an object that only its methods know."""
        for path, leaf in to_state_dict(value, [type(value).__name__]):
            if isinstance(leaf, torch.Tensor) and self(leaf, kind) is not leaf:
                raise ModelError(
                    f"{pytorch_style_dict_key(path)} cannot be replaced by a tensor of another "
                    f"kind of device; hold it in an attrs slot, a list or a dict"
                )
        return value


def _parts(value: Any) -> Iterator[tuple[Any, Any, SlotKind]]:
    """Yield (place, part, kind) for each slot or item of a container."""
    if isinstance(value, torch.nn.Module):
        yield from _torch_parts(value)
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            if (kind := slot_kind(field)) != "transient" and hasattr(value, field.name):
                yield field.name, getattr(value, field.name), kind
    elif dataclasses.is_dataclass(value):
        for slot in dataclasses.fields(value):
            if hasattr(value, slot.name):
                yield slot.name, getattr(value, slot.name), "state"
    else:
        items = value.items() if isinstance(value, MutableMapping) else enumerate(value)
        yield from ((place, part, "state") for place, part in items)


def _torch_parts(module: torch.nn.Module) -> Iterator[tuple[str, Any, SlotKind]]:
    computed = module._non_persistent_buffers_set
    for name, parameter in module._parameters.items():
        yield name, parameter, "state"
    for name, buffer in module._buffers.items():
        yield name, buffer, "computed" if name in computed else "buffer"
    for name, child in module._modules.items():
        yield name, child, "state"


def _putter(value: Any) -> Callable[[Any, Any], None] | None:
    """Return how a part of this container is replaced; None if it is no container we know."""
    if isinstance(value, (list, MutableMapping)):
        return value.__setitem__
    if isinstance(value, torch.nn.Module):
        return lambda name, new: setattr(value, name, new)
    if attrs.has(type(value)) or dataclasses.is_dataclass(value):
        # A frozen instance is moved too: its value stays what it was, only elsewhere.
        return lambda name, new: object.__setattr__(value, name, new)
    return None
