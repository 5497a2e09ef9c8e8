"""Module: the base class of all models here, with the methods that a training loop needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import attrs
import torch

from caten_sd.errors import StateDictError
from caten_sd.nn.device_move import DeviceMove
from caten_sd.nn.walk import Walk
from caten_sd.objects.call import call
from caten_sd.objects.declared_slots import declared_slots
from caten_sd.objects.extract import get_state_dict, to_state_dict
from caten_sd.objects.slots import SlotKind
from caten_sd.state.keys import Path

M = TypeVar("M", bound="Module")


@attrs.define(eq=False, repr=False)
class Module:
    """A model written as an attrs class: its declared slots, and nothing else, are its state.

    Decorate each subclass with ``@attrs.define``. Models compare by identity, since tensors do not
    compare to one truth value. They have ``__slots__``, so they refuse an undeclared attribute.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # attrs would write its own into every class whose body lacks them.
        for name in ("__eq__", "__hash__", "__repr__"):
            if name not in cls.__dict__:
                setattr(cls, name, getattr(cls, name))

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run the forward pass, as ``call(self, *inputs)`` does."""
        return call(self, *inputs, **options)

    def to(self: M, *where: torch.device | torch.dtype | str | int) -> M:
        """DeviceMove parameters and buffers, saved or not, to a device, a floating dtype, or both.

        Ties stay ties, and integers and booleans keep their dtype. Transient slots are left alone.
        """
        Walk(DeviceMove.to(*where))(self)
        return self

    def named_parameters(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield (key, parameter) with the keys of `get_state_dict`; a tied one only once."""
        buffers = {id(leaf) for leaf in self.buffers()}
        state = get_state_dict(self)
        for key, leaf in state.items():
            if key not in state.ties and id(leaf) not in buffers and _trains(leaf):
                yield key, leaf

    def parameters(self) -> Iterator[torch.Tensor]:
        """Yield each parameter once, as an optimizer needs them."""
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
        """Yield this module and each module inside it once, including those of torch."""
        found: list[Any] = []
        Walk(enter=found.append)(self)
        return (each for each in found if isinstance(each, (Module, torch.nn.Module)))

    def train(self: M, mode: bool = True) -> M:
        """Set every slot named ``training`` in this module and in the modules inside it."""
        for module in self.modules():
            if hasattr(module, "training"):
                module.training = mode
        return self

    def eval(self: M) -> M:
        """Set every slot named ``training`` to False."""
        return self.train(False)

    def requires_grad_(self: M, flag: bool = True) -> M:
        """Set ``requires_grad`` of every parameter that can have a gradient."""
        for parameter in self.parameters():
            if parameter.is_floating_point() or parameter.is_complex():
                parameter.requires_grad_(flag)
        return self

    def zero_grad(self) -> None:
        """Set every gradient to None."""
        for parameter in self.parameters():
            parameter.grad = None

    def __repr__(self) -> str:
        slots = [each.name for each in declared_slots(type(self)) if hasattr(self, each.name)]
        text = ", ".join(f"{name}={_brief(getattr(self, name))}" for name in slots)
        return f"{type(self).__name__}({text})"


@to_state_dict.before(Module)
def _refuse_undeclared(model: Module, parent: Path, /) -> None:
    """Refuse state in the attributes of a class that declares nothing, as somebody forgot to."""
    own = getattr(model, "__dict__", None)  # a class with slots has none
    if not own or "__attrs_attrs__" in vars(type(model)):
        return
    declared = {each.name for each in declared_slots(type(model))}
    for name, value in own.items():
        if name not in declared and to_state_dict(value, [*parent, name]):
            cls = type(model).__name__
            raise StateDictError(
                f"{cls}.{name} holds state, and the class does not declare it; decorate {cls} with "
                f"@attrs.define and declare {name} in its body"
            )


def _trains(leaf: object) -> bool:
    return isinstance(leaf, torch.nn.Parameter) or (
        isinstance(leaf, torch.Tensor) and leaf.requires_grad
    )


def _brief(value: object) -> str:
    """Return a short text for a value: a repr shows shapes, not numbers."""
    if isinstance(value, torch.Tensor):
        return f"<{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}>"
    if isinstance(value, list) and value and isinstance(value[0], Module):
        return f"[{len(value)} x {type(value[0]).__name__}]"
    return f"{type(value).__name__}(...)" if isinstance(value, Module) else repr(value)
