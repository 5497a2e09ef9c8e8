"""Copy and pickle models of a Lisp file: a pickle has the text of the file and the model's name."""

from __future__ import annotations

import copy
from types import FunctionType
from typing import Any, ClassVar, Protocol, TypeVar

from caten_sd.errors import ModelError
from caten_sd.lisp.classes.nodes import FunctionNode

R = TypeVar("R", bound="Referenced")


class PickledProgram(Protocol):
    """What gives the function and the arguments that make an instance of a class by its name."""

    def reference(self, name: str) -> tuple[Any, tuple[str, str, str]]:
        """Return them for a model of the file, by its folded name."""


class Referenced:
    """A class that is made when a file is read, so that a pickle cannot name it as Python does."""

    __slots__ = ()
    program: ClassVar[PickledProgram]
    definition: ClassVar[Any]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Return what makes an instance, and the values of its slots; ModelError for a function."""
        state = self.__getstate__()
        for name, value in state.items():
            if _holds_function(value):
                raise ModelError(
                    f"the slot {name} of {type(self).__name__} holds a function of Lisp, which "
                    f"cannot be pickled; save the state dict of the model, or port the file to "
                    f"Python"
                )
        return (*self.program.reference(self.definition.name.name), state)

    def __getstate__(self) -> dict[str, Any]:
        """Return the values of the slots; attrs writes its own into each class."""
        raise NotImplementedError

    def __copy__(self: R) -> R:
        """Return an instance of the same class with the same values."""
        made = type(self).__new__(type(self))
        made.__setstate__(self.__getstate__())  # type: ignore[attr-defined]
        return made

    def __deepcopy__(self: R, memo: dict[int, Any]) -> R:
        """Return an instance of the same class with copies of the values."""
        made = memo[id(self)] = type(self).__new__(type(self))
        made.__setstate__(copy.deepcopy(self.__getstate__(), memo))  # type: ignore[attr-defined]
        return made


def _holds_function(value: Any) -> bool:
    """Return whether a value, or an item of a list, is a function that Python cannot name."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, FunctionType) and "<" in each.__qualname__:
            return True
        if isinstance(each, FunctionNode):
            waiting += [each.function, *each.rest_args]
        elif isinstance(each, (list, tuple)):
            waiting += each
    return False
