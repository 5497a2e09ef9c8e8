"""Classes whose objects are pickled by a test, and read as if this module did not exist."""

from __future__ import annotations

from typing import Any


class Absent:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__[name] = value


class AbsentDict(dict[Any, Any]):
    k: Any
    other: Any


class AbsentList(list[Any]):
    pass


class Slotted:
    __slots__ = ("__dict__", "slot")

    def __init__(self, free: Any, slot: Any) -> None:
        self.free, self.slot = free, slot


class Reduced:
    def __init__(self, *args: Any) -> None:
        self.args = args

    def __reduce__(self) -> Any:
        return Reduced, self.args


def set_state(made: Any, state: Any) -> None:
    made.kept = state


class SetByFunction:
    def __init__(self, kept: Any = None) -> None:
        self.kept = kept

    def __reduce__(self) -> Any:
        return SetByFunction, (), {"kept": self.kept}, None, None, set_state
