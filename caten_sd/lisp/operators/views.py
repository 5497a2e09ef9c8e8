"""Views: parts of a tensor that share its memory, and what is written into them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from caten_sd.errors import ModelError
from caten_sd.lisp.operators.operand import as_integer, as_operand, as_shape
from caten_sd.lisp.operators.operator import Operator
from caten_sd.lisp.syntax.datum import Symbol

_BASE = "caten_base"  # the attribute of a view that holds the tensor it was cut from


def view(x: Any, *subscripts: Any) -> Tensor:
    """Return a part of x by a subscript for each axis, or x with axes of size 1 repeated.

    t takes the whole axis, an integer one element, whose axis stays with size 1, ``(from to)`` and
    ``(from to step)`` a range, and ``(:~ n)`` repeats. The step may be negative.
    """
    operand = as_operand(x)
    if len(subscripts) != operand.ndim:
        raise ModelError(
            f"a view of a tensor of shape {tuple(operand.shape)} needs {operand.ndim} subscripts, "
            f"not {len(subscripts)}; write t for an axis that stays as it is"
        )
    if any(map(_repeats, subscripts)):
        return _repeated(operand, subscripts)
    part = operand
    for axis, subscript in enumerate(subscripts):
        if subscript is not True:
            part = _cut(part, axis, subscript)
    if part is not operand:
        setattr(part, _BASE, getattr(operand, _BASE, operand))
    return part


def view_from_base(x: Any, *subscripts: Any) -> Tensor:
    """Return a part of the tensor that x was cut from by views, or of x if it was not."""
    operand = as_operand(x)
    return view(getattr(operand, _BASE, operand), *subscripts)


def assign(target: Any, source: Any) -> Tensor:
    """Write elements into a tensor, and so into the tensor that it is a view of; return it.

    Caten repeats a source with axes of size 1. That is refused here, since a cache that was made
    for another batch would be filled with copies of this one.
    """
    written, elements = as_operand(target), as_operand(source)
    if elements.ndim and elements.shape != written.shape:
        raise ModelError(
            f"a tensor of shape {tuple(elements.shape)} is written into one of shape "
            f"{tuple(written.shape)}; pass one of that shape, or set a cache that holds another "
            f"batch to None"
        )
    return written.copy_(elements)


def _repeats(subscript: Any) -> bool:
    if not isinstance(subscript, (list, tuple)) or len(subscript) != 2:
        return False
    return isinstance(subscript[0], Symbol) and subscript[0].name == "~"


def _repeated(x: Tensor, subscripts: tuple[Any, ...]) -> Tensor:
    if any(each is not True and not _repeats(each) for each in subscripts):
        raise ModelError("a view repeats axes or cuts others, not both; write two views")
    return x.expand([-1 if each is True else as_shape([each[1]])[0] for each in subscripts])


def _cut(x: Tensor, axis: int, subscript: Any) -> Tensor:
    size = x.shape[axis]
    taken = _range(size, subscript)
    # Not min and max, which would go through a range of any length.
    if not taken or not all(0 <= each < size for each in (taken[0], taken[-1])):
        raise ModelError(
            f"the subscript of axis {axis} takes the elements {taken.start} to {taken.stop} by "
            f"{taken.step}, and the axis has the elements 0 to {size - 1}; write another one"
        )
    if taken.step < 0:  # torch has no views that go backwards
        return x.index_select(axis, torch.tensor(list(taken), device=x.device))
    return x[(*(slice(None),) * axis, slice(taken.start, taken.stop, taken.step))]


def _range(size: int, subscript: Any) -> range:
    if not isinstance(subscript, (list, tuple)):
        start = _from_start(size, subscript)
        return range(start, start + 1)
    if len(subscript) not in (2, 3):
        raise ModelError(
            "a range of a view is (from to) or (from to step), and this one has "
            f"{len(subscript)} items; write two or three"
        )
    step = as_integer(subscript[2], "a step") if len(subscript) == 3 else 1
    if not step:
        raise ModelError("the step of a view is 0; write another one")
    return range(_from_start(size, subscript[0]), _from_start(size, subscript[1]), step)


def _from_start(size: int, index: Any) -> int:
    number = as_integer(index, "an index")
    return number + size if number < 0 else number


OPERATORS = (
    Operator("!VIEW", view, "x &rest subscripts"),
    Operator("!VIEW-FROM-BASE", view_from_base, "x &rest subscripts"),
    Operator("!MOVE", assign, "a b"),
    Operator("!ASSIGN", assign, "a b"),
)
