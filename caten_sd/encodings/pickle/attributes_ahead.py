"""Read known objects with plain attributes in one step each, not one opcode at a time.

The .metadata of a torch distributed checkpoint has an object for each tensor, which holds two more,
and two for the place of each box of a tensor. Each takes some 40 opcodes, and those of 160,000
boxes take 4.2 s one at a time. A form that is learned from one object finds the values of all that
follow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caten_sd.encodings.pickle.inert_values import Reference
from caten_sd.encodings.pickle.known_object import KnownObject, ObjectForm, tuple_of
from caten_sd.encodings.pickle.learned_forms import (
    CALLED,
    ITEM,
    LIST,
    MADE,
    NUMBER,
    SET,
    learned_form,
    value_in_memo,
)
from caten_sd.encodings.pickle.machine import COUNTED_AGAIN, PASSED_OVER
from caten_sd.state.header_memory import FIELD, SMALL_OBJECT

if TYPE_CHECKING:
    from caten_sd.encodings.pickle.machine import Machine

Known = tuple[Any, tuple[Any, ...]]  # a value, and what its opcodes put into the memo

_NUMBERS, _ITEMS = re.compile(NUMBER, re.DOTALL), re.compile(ITEM, re.DOTALL)
_MAX_KNOWN = 4096  # values that are looked up by their opcodes
_SIZES = {ord("h"): 2, ord("j"): 5}  # bytes of an opcode that gets a value of the memo
_LONG, _SIGNED, _TEXT, _LIST = 0x8A, b"J\x8a", 0x8C, LIST[0]
_CONSTANTS = {ord("N"): None, 0x88: True, 0x89: False}


class _OtherValueError(Exception):
    """A value has to be made one opcode at a time."""


def set_ahead(m: Machine, target: KnownObject, at: int) -> int:
    """Set the attributes of an object and of those that follow it, as long as all are plain.

    Return the place after them. What has another form is left to be run one opcode at a time.
    """
    form = m.forms.get(type(target)) or _learned(m, target, at) if m.may_pass_over else None
    found = form.attributes.match(m.data, at) if form else None
    if form is None or found is None or not _is_set(m, target, form, found.groups()):
        return at
    at = found.end()
    follows: dict[type[KnownObject], ObjectForm] = {}  # a class, what followed it the last time
    while entry := _entry(m, follows.get(form.make, form), at):
        before, (found, form) = form, entry
        follows[before.make] = form
        target = form.make()
        key, *fields = found.groups()
        if not _is_set(m, target, form, fields, key):
            return at
        m.stack.append(target)
        at = found.end()
    return at


def _entry(m: Machine, likely: ObjectForm, at: int) -> tuple[re.Match[bytes], ObjectForm] | None:
    """Return where the next object lies, and its form."""
    if found := likely.entry.match(m.data, at):
        return found, likely
    for form in m.forms.values():
        if found := form.entry.match(m.data, at):
            return found, form
    return None


def _learned(m: Machine, target: KnownObject, at: int) -> ObjectForm | None:
    """Return the form of the objects of a class; it is not looked for at each of them."""
    count = m.unlearned[type(target)] = m.unlearned[type(target)] + 1
    form = None if count & (count - 1) else learned_form(m, target, at)
    if form:
        m.forms[type(target)] = form
    return form


def _is_set(
    m: Machine,
    target: KnownObject,
    form: ObjectForm,
    fields: Sequence[bytes],
    key: bytes | None = None,
) -> bool:
    """Set the attributes of an object; return False, with nothing changed, if one is not plain."""
    memo, known, values = m.memo, m.known_values, []
    before = len(memo)
    try:
        if key is not None:
            name, kept = _made(m, key)
            memo += kept
        memo += target, PASSED_OVER
        for opcodes in fields:
            value, kept = known.get(opcodes) or _new_value(m, opcodes)
            values.append(value)
            if kept:
                memo += kept
    except _OtherValueError:
        del memo[before:]
        return False
    if key is not None:
        m.stack.append(name)
    m.memory.take(SMALL_OBJECT + FIELD * len(values))
    form.set_values(target, values)
    return True


def _new_value(m: Machine, opcodes: bytes) -> Known:
    """Return the value of a field, and what its opcodes put into the memo."""
    if opcodes[0] == _LIST:
        return _list(m, opcodes), ()
    known = _made(m, opcodes)
    if len(m.known_values) >= _MAX_KNOWN:
        m.known_values.clear()
    m.known_values[opcodes] = known
    return known


def _list(m: Machine, opcodes: bytes) -> list[KnownObject]:
    """Return a new list of objects."""
    made: list[KnownObject] = []
    m.memo.append(made)
    at = len(LIST) + opcodes.startswith(b"(", len(LIST))
    while at < len(opcodes) - 1:
        form = next(form for form in m.forms.values() if opcodes.startswith(form.opcodes, at))
        found = form.attributes.match(opcodes, at + len(form.opcodes))
        target = form.make()
        if found is None or not _is_set(m, target, form, found.groups()):
            raise _OtherValueError
        made.append(target)
        at = found.end()
    return made


def _made(m: Machine, opcodes: bytes) -> Known:
    """Return the value of a field, and what its opcodes put into the memo."""
    kind = opcodes[0]
    if kind in _SIZES:
        size = _SIZES[kind]
        value = _from_memo(m, opcodes[:size])
        return _made_by(m, value, opcodes[size:]) if len(opcodes) > size else (value, ())
    if kind == _TEXT:
        if opcodes[1] != len(opcodes) - 3:
            raise _OtherValueError
        text = str(opcodes[2:-1], "utf-8", "surrogatepass")
        return text, (text,)
    return _CONSTANTS[kind] if kind in _CONSTANTS else _number(opcodes), ()


def _made_by(m: Machine, maker: Any, opcodes: bytes) -> Known:
    """Return a tuple that a function makes of numbers, or an object whose state is a tuple.

    The object is passed over in the memo, since it becomes the value of several fields.
    """
    make = maker.make if type(maker) is Reference else None
    if opcodes.endswith(CALLED) and make is tuple_of:
        made = tuple(map(_number, _NUMBERS.findall(opcodes[: -len(CALLED)])))
        return made, (made, PASSED_OVER, made)
    if not isinstance(make, type) or not issubclass(make, KnownObject):
        raise _OtherValueError
    items = _ITEMS.findall(opcodes[len(MADE) + 1 : -len(SET)])
    target = make()
    target.set_state(tuple(_made(m, item)[0] for item in items))
    return target, (PASSED_OVER, PASSED_OVER)


def _from_memo(m: Machine, get: bytes) -> Any:
    value = value_in_memo(m, get)
    if value is None or value is PASSED_OVER or type(value) in COUNTED_AGAIN:
        raise _OtherValueError
    return value


def _number(opcode: bytes) -> int:
    operand = opcode[2:] if opcode[0] == _LONG else opcode[1:]
    return int.from_bytes(operand, "little", signed=opcode[0] in _SIGNED)
