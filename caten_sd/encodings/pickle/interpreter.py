"""Interpret a pickle's opcodes as data: nothing is imported, and only our own functions are called.

A name in a pickle is looked up in a table of exact names, whose entries are this library's own
functions; any other becomes an inert Opaque. This is not a subclass of pickle.Unpickler, which
allocates whatever a length claims. Protocols 0 to 5, as Python's pickletools documents them.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from caten_sd.encodings.pickle.calls import CALLS
from caten_sd.encodings.pickle.input import ShortWindowError
from caten_sd.encodings.pickle.machine import Machine, PassedOverError
from caten_sd.encodings.pickle.memo import MEMO
from caten_sd.encodings.pickle.scalars import SCALARS, Opcode
from caten_sd.encodings.pickle.stack import STACK
from caten_sd.errors import FormatError
from caten_sd.state.backing import BytesBacking
from caten_sd.state.header_memory import HeaderMemory
from caten_sd.state.source import Source

MALFORMED = (
    *(LookupError, TypeError, ValueError, ArithmeticError, AttributeError, struct.error),
    *(RecursionError, MemoryError, ShortWindowError),
)
_STOP = ord(".")


def _unknown(machine: Machine, at: int) -> int:
    raise ValueError("no such opcode")


_TABLE = {**SCALARS, **MEMO, **STACK, **CALLS}
OPCODES: list[Opcode] = [_TABLE.get(bytes([code]), _unknown) for code in range(256)]


class Unpickled(NamedTuple):
    """A pickle's value, the position after it, and how many objects of each class stayed opaque.

    ``imports`` are the names that Python would import, each with whether it is plain data.
    """

    value: Any
    end: int
    opaque: Counter[str]
    imports: Mapping[str, bool]


def unpickle(
    data: bytes | Source,
    *,
    source_name: str = "a pickle",
    start: int = 0,
    persistent_load: Callable[[Any], Any] | None = None,
    allowed: Mapping[tuple[str, str], Any] | None = None,
    memory: HeaderMemory | None = None,
) -> Unpickled:
    """Read one pickle; FormatError if it is malformed or calls what no checkpoint needs.

    ``allowed`` maps (module, name) to a function of ours, or to the value to use for the name.
    A large byte string becomes a Source, and is not read. ``source_name`` is the name of bytes.
    ``memory`` is that of the other headers of the file, which grows by the pickle's.

    >>> unpickle(b"\\x80\\x02}U\\x01aK\\x01s.", source_name="a.pkl").value
    {'a': 1}
    >>> unpickle(b"cmodels\\nNet\\n)\\x81.", source_name="a.pkl").value
    Opaque(models.Net)
    """
    if isinstance(data, Source):
        source = data
    else:
        source = Source(source_name, BytesBacking(data), 0, len(data))
    machine = Machine(source, start, persistent_load, allowed or {}, memory)
    try:
        return _unpickled(machine)
    except PassedOverError:
        rest = (start, persistent_load, allowed or {}, memory)
        return _unpickled(Machine(source, *rest, passes_over=False))


def _unpickled(machine: Machine) -> Unpickled:
    while (end := _run(machine)) is None:
        pass
    return Unpickled(machine.value, end, machine.opaque, machine.imports())


def _run(machine: Machine) -> int | None:
    """Run the opcodes of a window, and return the position after STOP, or None before it.

    The value is in ``value``.
    """
    data, opcodes, opcode, at = machine.ahead, OPCODES, _STOP, 0
    try:
        while (opcode := data[at]) != _STOP:
            at = opcodes[opcode](machine, at + 1)
        machine.value = machine.stack.pop()
        return machine.base + at + 1
    except MALFORMED as error:
        if machine.advance(at, error):
            return None
        raise _malformed(machine, machine.base + at, opcode, error) from error


def _malformed(machine: Machine, at: int, opcode: int, error: Exception) -> FormatError:
    ended = at >= machine.source.size
    place = f"ends before byte {at}" if ended else f"is malformed at byte {at}"
    why = str(error)[:200] or type(error).__name__
    return FormatError(
        machine.source_name,
        f"its pickle {place} (opcode {bytes([opcode])!r}: {why})",
        "it is truncated, damaged or made to deceive, so get it again",
    )
