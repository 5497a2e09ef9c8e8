"""The opcodes of a pickle that name a class or function, call it, or set an object's state.

They import nothing and call only this library's functions; a call of another name makes an
Instance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from caten_sd.encodings.pickle.attributes_ahead import set_ahead
from caten_sd.encodings.pickle.inert_values import Instance, Ordered, brief
from caten_sd.encodings.pickle.known_object import KnownObject
from caten_sd.encodings.pickle.stack import since_mark

if TYPE_CHECKING:
    from caten_sd.encodings.pickle.machine import Machine
    from caten_sd.encodings.pickle.scalars import Opcode


def _global(m: Machine, at: int) -> int:
    module = m.line(at)
    name = m.line(at + len(module) + 1)
    m.stack.append(m.reference(module.decode(), name.decode()))
    return at + len(module) + len(name) + 2


def _stack_global(m: Machine, at: int) -> int:
    name = m.stack.pop()
    module = m.stack[-1]
    if type(name) is not str or type(module) is not str:
        raise ValueError("the name of a global is not text")
    m.stack[-1] = m.reference(module, name)
    return at


def _reduce(m: Machine, at: int) -> int:
    args = m.stack.pop()
    m.stack[-1] = m.call(m.stack[-1], args)
    return at


def _new(m: Machine, at: int) -> int:
    args = m.stack.pop()
    made = m.stack[-1] = m.call(m.stack[-1], args, bare=True)
    return set_ahead(m, made, at) if isinstance(made, KnownObject) else at


def _new_with_names(m: Machine, at: int) -> int:
    names, args = m.stack.pop(), m.stack.pop()
    if type(names) is not dict or type(args) is not tuple:
        raise ValueError("the arguments of an object are not a tuple and a dict")
    m.stack[-1] = m.call(m.stack[-1], (*args, names) if names else args, bare=True)
    return at


def _instance(m: Machine, at: int) -> int:
    at = _global(m, at)
    name = m.stack.pop()
    args = since_mark(m)
    m.stack.append(m.call(name, tuple(args), bare=True))
    return at


def _object(m: Machine, at: int) -> int:
    items = since_mark(m)
    m.stack.append(m.call(items[0], tuple(items[1:]), bare=True))
    return at


def _build(m: Machine, at: int) -> int:
    state, target = m.stack.pop(), m.stack[-1]
    if isinstance(target, KnownObject):
        target.set_state(state)
        return at
    if type(target) not in (Instance, Ordered):
        raise ValueError(f"a state is set on {brief(target)}, which is not an object")
    target.state = state
    return at


def _persistent(m: Machine, at: int) -> int:
    m.stack[-1] = m.persistent(m.stack[-1])
    return at


def _persistent_line(m: Machine, at: int) -> int:
    line = m.line(at)
    m.stack.append(m.persistent(line.decode("ascii")))
    return at + len(line) + 1


def _read_only(m: Machine, at: int) -> int:
    return at


CALLS: dict[bytes, Opcode] = {
    b"c": _global,
    b"\x93": _stack_global,
    b"R": _reduce,
    b"\x81": _new,
    b"\x92": _new_with_names,
    b"i": _instance,
    b"o": _object,
    b"b": _build,
    b"Q": _persistent,
    b"P": _persistent_line,
    b"\x98": _read_only,
}
