"""The opcodes of a pickle that work on the stack: marks and containers.

As in Python's pickletools. Each takes the machine and a position, and returns the next position.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from caten_sd.encodings.pickle.inert_values import Instance, Ordered, Reference, check_key
from caten_sd.state.header_memory import CONTAINER, SMALL, TUPLE
from caten_sd.wording import a_or_an

if TYPE_CHECKING:
    from caten_sd.encodings.pickle.machine import Machine
    from caten_sd.encodings.pickle.scalars import Opcode

MAX_MARKS = 100_000  # each one makes a list; Python's own pickler nests a hundredth as deep

_OBJECTS = {Ordered, Reference}
_UINT64 = struct.Struct("<Q")


def _protocol(m: Machine, at: int) -> int:
    if m.data[at] > 5:
        raise ValueError(f"protocol {m.data[at]} is unknown")
    return at + 1


def _frame(m: Machine, at: int) -> int:
    count = _UINT64.unpack_from(m.data, at)[0]
    m.check_left(at + 8, count)
    return at + 8


def _mark(m: Machine, at: int) -> int:
    if len(m.outer) > MAX_MARKS:
        raise ValueError(f"more than {MAX_MARKS} marks are open")
    m.outer.append(m.stack)
    m.stack = []
    return at


def since_mark(m: Machine) -> list[Any]:
    """Remove and return everything above the last mark."""
    items = m.stack
    m.stack = m.outer.pop()
    return items


def _pop(m: Machine, at: int) -> int:
    """Remove the top; the result of a call that sets a state is dropped, and its state is kept."""
    if m.stack:
        dropped = m.stack.pop()
        if type(dropped) is Instance and type(dropped.args) is tuple and len(dropped.args) == 2:
            target, state = dropped.args
            if type(target) is Instance and target.state is None:
                target.state = state
    else:
        since_mark(m)
    return at


def _pop_mark(m: Machine, at: int) -> int:
    since_mark(m)
    return at


def _duplicate(m: Machine, at: int) -> int:
    m.duplicate()
    return at


def _tuple(m: Machine, at: int) -> int:
    items = m.stack
    m.stack = m.outer.pop()
    _take_tuple(m, items[:SMALL])
    if len(items) > SMALL:  # a short one is what a function is called with
        _take_objects(m, items)
    m.stack.append(tuple(items))
    return at


def _take_tuple(m: Machine, items: list[Any]) -> None:
    """Take bytes for a tuple: the walks keep as much of a nest as of a list."""
    for item in items:
        if type(item) is tuple and tuple in map(type, item[:SMALL]):
            m.memory.take(CONTAINER)
            return
    m.memory.take(TUPLE)


def _tuple1(m: Machine, at: int) -> int:
    _take_tuple(m, m.stack[-1:])
    m.stack[-1] = (m.stack[-1],)
    return at


def _tuple2(m: Machine, at: int) -> int:
    _take_tuple(m, m.stack[-2:])
    last = m.stack.pop()
    m.stack[-1] = (m.stack[-1], last)
    return at


def _tuple3(m: Machine, at: int) -> int:
    _take_tuple(m, m.stack[-3:])
    last = m.stack.pop()
    middle = m.stack.pop()
    m.stack[-1] = (m.stack[-1], middle, last)
    return at


def _list(m: Machine, at: int) -> int:
    m.memory.take(CONTAINER)
    items = since_mark(m)
    _take_objects(m, items)
    m.stack.append(items)
    return at


def _append(m: Machine, at: int) -> int:
    value = m.stack.pop()
    _extend(m, m.stack[-1], [value])
    return at


def _appends(m: Machine, at: int) -> int:
    values = since_mark(m)
    _extend(m, m.stack[-1], values)
    return at


def _take_objects(m: Machine, values: list[Any]) -> None:
    """Count the names among what a container gets: each is an entry of its own in the tree."""
    kinds = set(map(type, values))
    if not kinds.isdisjoint(_OBJECTS):
        m.memory.take(CONTAINER * sum(type(value) in _OBJECTS for value in values))


def _extend(m: Machine, target: Any, values: list[Any]) -> None:
    _take_objects(m, values)
    if type(target) is Instance:
        if target.entries is None:
            target.entries = []
        target = target.entries
    if type(target) is not list:
        raise ValueError(f"an item is appended to {a_or_an(type(target).__name__)}")
    target.extend(values)


def _dict(m: Machine, at: int) -> int:
    m.memory.take(CONTAINER)
    items = since_mark(m)
    made: dict[Any, Any] = {}
    _set_items(m, made, items)
    m.stack.append(made)
    return at


def _setitem(m: Machine, at: int) -> int:
    value = m.stack.pop()
    key = m.stack.pop()
    _set_items(m, m.stack[-1], [key, value])
    return at


def _setitems(m: Machine, at: int) -> int:
    items = since_mark(m)
    _set_items(m, m.stack[-1], items)
    return at


def _set_items(m: Machine, target: Any, items: list[Any]) -> None:
    if type(target) is Instance:
        if target.entries is None:
            target.entries = {}
        target = target.entries
    if type(target) not in (dict, Ordered):
        raise ValueError(f"an item is set on {a_or_an(type(target).__name__)}")
    if len(items) % 2:
        raise ValueError("a key has no value")
    keys = items[0::2]
    for key in keys:
        if type(key) is not str:
            check_key(key)
    before = len(target)
    m.memory.take_entries(len(keys), before + len(keys))
    _take_objects(m, items)
    target.update(zip(keys, items[1::2], strict=True))
    if len(target) != before + len(keys):
        raise ValueError("a key is given twice")


def _add_items(m: Machine, at: int) -> int:
    items, target = since_mark(m), m.stack[-1]
    if type(target) is Instance:
        if target.entries is None:
            target.entries = set()
        target = target.entries
    if type(target) is not set:
        raise ValueError(f"an item is added to {a_or_an(type(target).__name__)}")
    target.update(_hashable(items))
    return at


def _frozenset(m: Machine, at: int) -> int:
    m.memory.take(CONTAINER)
    items = since_mark(m)
    m.stack.append(frozenset(_hashable(items)))
    return at


def _hashable(items: list[Any]) -> list[Any]:
    for item in items:
        check_key(item)
    return items


STACK: dict[bytes, Opcode] = {
    b"\x80": _protocol,
    b"\x95": _frame,
    b"(": _mark,
    b"0": _pop,
    b"1": _pop_mark,
    b"2": _duplicate,
    b"t": _tuple,
    b"\x85": _tuple1,
    b"\x86": _tuple2,
    b"\x87": _tuple3,
    b"l": _list,
    b"a": _append,
    b"e": _appends,
    b"d": _dict,
    b"s": _setitem,
    b"u": _setitems,
    b"\x90": _add_items,
    b"\x91": _frozenset,
}
