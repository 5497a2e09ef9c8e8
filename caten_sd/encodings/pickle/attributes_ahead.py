"""Read known objects with plain attributes in one step each, not one opcode at a time.

The .metadata of a torch distributed checkpoint has an object for each box of a tensor, and two for
the place of the box. Each takes some 40 opcodes, and those of 160,000 boxes take 4.2 s one at a
time. But for their values they are alike, so a regular expression that is made for one object of a
class finds the values of all that follow.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from caten_sd.encodings.pickle.inert_values import Reference
from caten_sd.encodings.pickle.known_object import KnownObject, ObjectForm, tuple_of
from caten_sd.encodings.pickle.machine import PASSED_OVER
from caten_sd.state.header_memory import FIELD, SMALL_OBJECT

if TYPE_CHECKING:
    from caten_sd.encodings.pickle.machine import Machine

_MAX_FIELDS = 8
_MADE, _HEAD, _TAIL = b")\x81", b"\x94}\x94(", b"ub"  # before the attributes, and after them
_GET = rb"h.|j.{4}"
_NUMBER = rb"K.|M..|J.{4}|\x8a(?:\x05.{5}|\x06.{6}|\x07.{7}|\x08.{8})"
_TEXT = rb"\x8c.[^\x94]{0,255}\x94"
_TUPLE = rb"(?:#)(?:\x85|(?:#)(?:\x86|(?:#)\x87))|\((?:#){4,64}t".replace(b"#", _NUMBER)
_CALLED = b"\x94\x85\x94R\x94"  # with that tuple; the memo gets it, the arguments and the result
_VALUE = rb"@(?:%b)%b|%b|%b|N|%b" % (_TUPLE, _CALLED, _GET, _NUMBER, _TEXT)  # @ gets tuple_of
_NUMBERS = re.compile(_NUMBER, re.DOTALL)
_OTHER = object()
_SIZES = {ord("h"): 2, ord("j"): 5}  # bytes of an opcode that gets a value of the memo
_LONG, _SIGNED, _SHORT_TEXT, _NONE = 0x8A, b"J\x8a", 0x8C, ord("N")


def set_ahead(m: Machine, target: KnownObject, at: int) -> int:
    """Set the attributes of an object and of those that follow it, as long as all are plain.

    Return the place after them. What has another form is left to be run one opcode at a time.
    """
    if not m.may_pass_over:
        return at
    form = m.forms.get(type(target)) or _learned(m, target, at)
    while form and (found := form.fields.match(m.data, at)):
        values, remembered = _values(m, found.groups())
        if _OTHER in values:
            break
        m.memory.take(FIELD * len(values))
        target.set_state(dict(zip(form.names, values, strict=True)))
        m.memo += target, PASSED_OVER, *remembered
        at = found.end()
        for form in m.forms.values():
            if m.data.startswith(form.opcodes, at):
                target = form.make()
                break
        else:
            break
        m.memory.take(SMALL_OBJECT)
        m.stack.append(target)
        at += len(form.opcodes)
    return at


def _values(m: Machine, fields: tuple[bytes, ...]) -> tuple[list[Any], list[Any]]:
    """Return the values of fields, and what their opcodes put into the memo."""
    values: list[Any] = []
    remembered: list[Any] = []
    for opcodes in fields:
        if _SIZES.get(opcodes[0]) == len(opcodes):
            value = _from_memo(m, opcodes)
            values.append(value if type(value) in (str, tuple) else _OTHER)
            continue
        value, kept = _plain(opcodes)
        values.append(value)
        remembered += kept
    return values, remembered


def _from_memo(m: Machine, get: bytes) -> Any:
    index = int.from_bytes(get[1:], "little")
    return m.memo[index] if index < len(m.memo) else _OTHER


@lru_cache(maxsize=4096)
def _plain(opcodes: bytes) -> tuple[Any, tuple[Any, ...]]:
    """Return the value of a field that needs no memo, and what its opcodes put there."""
    kind = opcodes[0]
    if kind in _SIZES:
        numbers = _NUMBERS.findall(opcodes[: -len(_CALLED)], _SIZES[kind])
        made = tuple(map(_number, numbers))
        return made, (made, PASSED_OVER, made)
    if kind == _SHORT_TEXT:
        text = str(opcodes[2:-1], "utf-8", "surrogatepass")
        return (text, (text,)) if opcodes[1] == len(opcodes) - 3 else (_OTHER, ())
    return None if kind == _NONE else _number(opcodes), ()


def _number(opcode: bytes) -> int:
    operand = opcode[2:] if opcode[0] == _LONG else opcode[1:]
    return int.from_bytes(operand, "little", signed=opcode[0] in _SIGNED)


def _learned(m: Machine, target: KnownObject, at: int) -> ObjectForm | None:
    """Return the form of the objects of a class, as the one at a place shows it, if it is plain."""
    opcodes = _opcodes_of_class(m, target, at)
    if opcodes is None or not m.data.startswith(_HEAD, at):
        return None
    value = _VALUE.replace(b"@", _get_tuple_of(m))
    field = re.compile(rb"(%b)(?:%b)" % (_GET, value), re.DOTALL)
    fields: list[bytes] = []
    end = at + len(_HEAD)
    while len(fields) <= _MAX_FIELDS and (found := field.match(m.data, end)):
        fields.append(found[1])
        end = found.end()
    names = tuple(_from_memo(m, get) for get in fields)
    if not m.data.startswith(_TAIL, end) or not _are_names(names):
        return None
    pattern = b"".join(re.escape(get) + b"(%b)" % value for get in fields)
    whole = re.compile(re.escape(_HEAD) + pattern + re.escape(_TAIL), re.DOTALL)
    form = m.forms[type(target)] = ObjectForm(type(target), opcodes, names, whole)
    return form


def _are_names(names: tuple[Any, ...]) -> bool:
    return {*map(type, names)} == {str} and len({*names}) == len(names) <= _MAX_FIELDS


def _get_tuple_of(m: Machine) -> bytes:
    """Return a pattern of the opcode that gets what makes tuples; of none if the memo lacks it."""
    for index, value in enumerate(m.memo):
        if type(value) is Reference and value.make is tuple_of:
            return re.escape(b"h%c" % index if index < 256 else b"j" + index.to_bytes(4, "little"))
    return b"(?!)"


def _opcodes_of_class(m: Machine, target: KnownObject, at: int) -> bytes | None:
    """Return the opcodes before a place, if they make an object of a class in the memo."""
    for size, kind in ((2, b"h"), (5, b"j")):
        opcodes = m.data[max(at - size - len(_MADE), 0) : at]
        if opcodes.startswith(kind) and opcodes.endswith(_MADE):
            known = _from_memo(m, opcodes[:size])
            if type(known) is Reference and known.make is type(target):
                return opcodes
    return None
