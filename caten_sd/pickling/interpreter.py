"""Pickle read as data: an interpreter of its opcodes that imports nothing and calls nothing.

A name in a pickle is looked up in a table of exact names, whose entries are this library's own
functions; any other becomes an inert Opaque. Not a subclass of pickle.Unpickler, which allocates
what a length claims. Protocols 0 to 5, as Python's pickletools documents them.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from caten_sd.errors import FormatError
from caten_sd.pickling.arrays import NUMPY
from caten_sd.pickling.calls import CALLS
from caten_sd.pickling.objects import Instance, Reference, brief
from caten_sd.pickling.plain import PLAIN, RENAMED
from caten_sd.pickling.scalars import SCALARS, Opcode
from caten_sd.pickling.stack import STACK

MALFORMED = (IndexError, KeyError, TypeError, ValueError, OverflowError, struct.error)
_STOP = ord(".")


def _unknown(machine: Machine, at: int) -> int:
    raise ValueError("no such opcode")


_KNOWN = {**PLAIN, **NUMPY}
_TABLE = {**SCALARS, **STACK, **CALLS}
OPCODES: list[Opcode] = [_TABLE.get(bytes([code]), _unknown) for code in range(256)]


class Unpickled(NamedTuple):
    """A pickle's value, where it ends, and how many objects of each class stayed opaque."""

    value: Any
    end: int
    opaque: Counter[str]


def unpickle(
    data: bytes | memoryview,
    *,
    source_name: str,
    start: int = 0,
    persistent_load: Callable[[Any], Any] | None = None,
    allowed: Mapping[tuple[str, str], Any] | None = None,
) -> Unpickled:
    """Read one pickle; FormatError if it is malformed or asks to call what no checkpoint needs.

    ``allowed`` maps (module, name) to a function of ours, or to the value that the name stands for.
    Large byte strings of a memoryview are given as parts of it, not copied.

    >>> unpickle(b"\\x80\\x02}U\\x01aK\\x01s.", source_name="a.pkl").value
    {'a': 1}
    >>> unpickle(b"cmodels\\nNet\\n)\\x81.", source_name="a.pkl").value
    Opaque(models.Net)
    """
    machine = Machine(data, source_name, persistent_load, allowed or {})
    end = machine.run(start)
    return Unpickled(machine.value, end, machine.opaque)


class Machine:
    """The state of one pickle's reading: a stack, the stacks below its marks, and the memo."""

    # fmt: off
    __slots__ = ("_allowed", "_persistent_load", "_references", "below", "data", "end", "memo",
                 "opaque", "sets", "source_name", "stack", "value")
    # fmt: on

    def __init__(
        self,
        data: bytes | memoryview,
        source_name: str,
        persistent_load: Callable[[Any], Any] | None,
        allowed: Mapping[tuple[str, str], Any],
    ) -> None:
        self.data, self.end, self.source_name = data, len(data), source_name
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.sets = 0
        self.value: Any = None
        self.opaque: Counter[str] = Counter()
        self._persistent_load, self._allowed = persistent_load, allowed
        self._references: dict[tuple[str, str], Any] = {}

    def run(self, at: int) -> int:
        """Read opcodes until STOP and return the position behind it; the value is in ``value``."""
        data, opcodes, opcode = self.data, OPCODES, _STOP
        try:
            while (opcode := data[at]) != _STOP:
                at = opcodes[opcode](self, at + 1)
            self.value = self.stack.pop()
            return at + 1
        except MALFORMED as error:
            place = f"ends before byte {at}" if at >= self.end else f"is malformed at byte {at}"
            why = str(error)[:200] or type(error).__name__
            raise FormatError(
                self.source_name,
                f"its pickle {place} (opcode {bytes([opcode])!r}: {why})",
                "it is truncated, damaged or made to deceive, so get it again",
            ) from error

    def line(self, at: int) -> bytes:
        """Return the bytes up to the next newline."""
        size = 64
        while True:
            part = bytes(self.data[at : at + size])
            found = part.find(b"\n")
            if found >= 0:
                return part[:found]
            if at + size >= self.end:
                raise ValueError("a line does not end")
            size *= 8

    def reference(self, module: str, name: str) -> Any:
        """Return what a global stands for: one Reference per name, or a value of ours."""
        module = RENAMED.get(module, module)
        found = self._references.get((module, name))
        if found is None:
            found = self._allowed.get((module, name)) or _KNOWN.get((module, name))
            if found is None or callable(found):
                found = Reference(f"{module}.{name}", self.source_name, found)
            self._references[module, name] = found
        return found

    def call(self, function: Any, args: Any, *, bare: bool = False) -> Any:
        """Return what a call stands for; nothing of the pickle's is run."""
        if type(function) is not Reference:
            raise ValueError(f"{brief(function)} is called, which is no name of a function")
        made = function.call(args, bare=bare)
        if type(made) is Instance:
            self.opaque[made.name] += 1
        return made

    def persistent(self, identity: Any) -> Any:
        """Return what the file keeps outside the pickle under this identity."""
        if self._persistent_load is None:
            raise ValueError("it points outside itself, where this file keeps nothing")
        return self._persistent_load(identity)
