"""Module: the attrs base of every model here, with what a training loop asks of a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import attrs
import torch

from caten_sd.nn.device_move import DeviceMove
from caten_sd.nn.walk import Walk
from caten_sd.objects.call import call
from caten_sd.objects.extract import get_state_dict
from caten_sd.objects.slots import SlotKind

M = TypeVar("M", bound="Module")


@attrs.define(eq=False, repr=False)
class Module:
    """A model written as an attrs class: its declared slots, and nothing else, are its state.

    Subclasses are made with ``@attrs.define``. They compare by identity, as tensors have no single
    truth, and having ``__slots__`` they refuse an attribute that was not declared.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # attrs writes these into every class whose body lacks them.
        for name in ("__eq__", "__hash__", "__repr__"):
            if name not in cls.__dict__:
                setattr(cls, name, getattr(cls, name))

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run the forward pass: sugar for ``call(self, *inputs)``."""
        return call(self, *inputs, **options)

    def to(self: M, *where: torch.device | torch.dtype | str | int) -> M:
        """DeviceMove parameters and buffers, saved or not, to a device, a floating dtype, or both.

        Ties stay ties, and integers and booleans keep their dtype. Transient slots are left alone.
        """
        Walk(DeviceMove.to(*where))(self)
        return self

    def named_parameters(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield (key, parameter) under the keys of `get_state_dict`; a tied one once."""
        buffers = {id(leaf) for leaf in self.buffers()}
        state = get_state_dict(self)
        for key, leaf in state.items():
            if key not in state.ties and id(leaf) not in buffers and _trains(leaf):
                yield key, leaf

    def parameters(self) -> Iterator[torch.Tensor]:
        """Yield each parameter once, as an optimizer wants them."""
        return (leaf for _, leaf in self.named_parameters())

    def buffers(self) -> Iterator[torch.Tensor]:
        """Yield each tensor that moves with the model and is not trained, saved or not."""
        found: list[torch.Tensor] = []

        def visit(leaf: torch.Tensor, kind: SlotKind) -> torch.Tensor:
            if kind != "state" or not _trains(leaf):
                found.append(leaf)
            return leaf

        Walk(visit)(self)
        return iter(found)

    def modules(self) -> Iterator[Any]:
        """Yield this module and each module inside it once, those of torch among them."""
        found: list[Any] = []
        Walk(enter=found.append)(self)
        return (part for part in found if isinstance(part, (Module, torch.nn.Module)))

    def train(self: M, mode: bool = True) -> M:
        """Set every slot named ``training`` in this module and in those inside it."""
        for module in self.modules():
            if hasattr(module, "training"):
                module.training = mode
        return self

    def eval(self: M) -> M:
        """Set every slot named ``training`` to False."""
        return self.train(False)

    def requires_grad_(self: M, flag: bool = True) -> M:
        """Freeze or thaw every parameter that can have a gradient."""
        for parameter in self.parameters():
            if parameter.is_floating_point() or parameter.is_complex():
                parameter.requires_grad_(flag)
        return self

    def zero_grad(self) -> None:
        """Forget every gradient."""
        for parameter in self.parameters():
            parameter.grad = None

    def __repr__(self) -> str:
        slots = [field.name for field in attrs.fields(type(self)) if hasattr(self, field.name)]
        text = ", ".join(f"{name}={_brief(getattr(self, name))}" for name in slots)
        return f"{type(self).__name__}({text})"


def _trains(leaf: object) -> bool:
    return isinstance(leaf, torch.nn.Parameter) or (
        isinstance(leaf, torch.Tensor) and leaf.requires_grad
    )


def _brief(value: object) -> str:
    """Return a value in a few words: a model's numbers are not its repr."""
    if isinstance(value, torch.Tensor):
        return f"<{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}>"
    if isinstance(value, list) and value and isinstance(value[0], Module):
        return f"[{len(value)} x {type(value[0]).__name__}]"
    return f"{type(value).__name__}(...)" if isinstance(value, Module) else repr(value)
