"""How all objects of a class lie in one pickle, as one of them shows it.

But for the values of their attributes they are alike: a regular expression that is made for one
finds the values of another. A value is what the memo has, a number, a text, a constant, a tuple
that a function makes of numbers, an object whose state is a short tuple, or a list of objects that
have a form.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from caten_sd.encodings.pickle.inert_values import Reference
from caten_sd.encodings.pickle.known_object import KnownObject, ObjectForm

if TYPE_CHECKING:
    from caten_sd.encodings.pickle.machine import Machine

GET = rb"h.|j.{4}"
NUMBER = rb"K.|M..|J.{4}|\x8a(?:\x05.{5}|\x06.{6}|\x07.{7}|\x08.{8})"
TEXT = rb"\x8c.[^\x94]{0,255}\x94"
ITEM = rb"%b|%b|[N\x88\x89]" % (GET, NUMBER)
CALLED = b"\x94\x85\x94R\x94"  # with a tuple; the memo gets it, the arguments and the result
MADE = b")\x81"
SET = b"\x94b"  # with a tuple before it, the state of an object; the memo gets both
LIST = b"]\x94"
_HEAD, _TAIL = b"\x94}\x94(", b"ub"  # before the attributes, and after them
_MAX_FIELDS = 8
_MAX_OBJECTS = 8  # in a list that is one value
_TUPLE = rb"(?:#)(?:\x85|(?:#)(?:\x86|(?:#)\x87))|\((?:#){4,64}t"
_NUMBERS, _ITEMS = (_TUPLE.replace(b"#", each) for each in (NUMBER, ITEM))
_OF_GET = rb"(?:%b)%b|%b(?:%b)%b" % (_NUMBERS, CALLED, re.escape(MADE + b"\x94"), _ITEMS, SET)
_VALUE = rb"(?:%b)(?:%b)?|%b|%b" % (GET, _OF_GET, ITEM, TEXT)


def learned_form(m: Machine, target: KnownObject, at: int) -> ObjectForm | None:
    """Return the form of the objects of a class, as the one at a place shows it, if it is plain."""
    opcodes = _opcodes_of_class(m, target, at)
    if opcodes is None or not m.data.startswith(_HEAD, at):
        return None
    lists = [_list_of(form) for form in m.forms.values() if not form.has_lists]
    value = b"|".join((_VALUE, *lists))
    gets = _gets_of_names(m.data, at + len(_HEAD), value)
    names = [value_in_memo(m, get) for get in gets]
    if {*map(type, names)} != {str} or len({*names}) != len(names):
        return None
    attributes = _attributes(gets, b"(%b)" % value)
    made = re.escape(opcodes)
    return ObjectForm(
        type(target),
        opcodes,
        type(target).setter(names),
        re.compile(attributes, re.DOTALL),
        re.compile(b"(%b)?%b%b" % (TEXT, made, attributes), re.DOTALL),
        made + _attributes(gets, b"(?:%b)" % value),
        has_lists=bool(lists),
    )


def _attributes(gets: list[bytes], value: bytes) -> bytes:
    """Return a pattern of attributes, whose values are as another pattern says."""
    return re.escape(_HEAD) + b"".join(re.escape(get) + value for get in gets) + _TAIL


def _list_of(form: ObjectForm) -> bytes:
    """Return a pattern of a list of objects of a form."""
    several = rb"\((?:%b){2,%d}e" % (form.whole, _MAX_OBJECTS)
    return rb"%b(?:%ba|%b)?" % (re.escape(LIST), form.whole, several)


def _gets_of_names(data: bytes, at: int, value: bytes) -> list[bytes]:
    """Return the opcodes that get the names of attributes, none if these are not all plain."""
    field = re.compile(rb"(%b)(?:%b)" % (GET, value), re.DOTALL)
    gets: list[bytes] = []
    while len(gets) <= _MAX_FIELDS and (found := field.match(data, at)):
        gets.append(found[1])
        at = found.end()
    return gets if data.startswith(_TAIL, at) and len(gets) <= _MAX_FIELDS else []


def value_in_memo(m: Machine, get: bytes) -> Any:
    """Return what an opcode gets, None if the memo has nothing there yet."""
    index = int.from_bytes(get[1:], "little")
    return m.memo[index] if index < len(m.memo) else None


def _opcodes_of_class(m: Machine, target: KnownObject, at: int) -> bytes | None:
    """Return the opcodes before a place, if they make an object of a class in the memo."""
    for size, kind in ((2, b"h"), (5, b"j")):
        opcodes = m.data[max(at - size - len(MADE), 0) : at]
        if opcodes.startswith(kind) and opcodes.endswith(MADE):
            known = value_in_memo(m, opcodes[:size])
            if type(known) is Reference and known.make is type(target):
                return opcodes
    return None
