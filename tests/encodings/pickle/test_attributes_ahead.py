"""What is read in one step is what is read one opcode at a time, and what Python reads."""

from __future__ import annotations

import pickle
import pickletools
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caten_sd.encodings.pickle import interpreter
from caten_sd.encodings.pickle.known_object import KnownObject, tuple_of
from caten_sd.encodings.pickle.machine import Machine
from caten_sd.errors import FormatError
from tests.properties import examples


class Row:
    """An object that holds others."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Sizes(tuple[Any, ...]):
    def __reduce__(self) -> Any:
        return Sizes, (tuple(self),)


class Box:
    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Properties:
    """Its state is a tuple, as that of torch's class of this kind."""

    def __init__(self, *state: Any) -> None:
        self.state = state

    def __getstate__(self) -> Any:
        return self.state

    def __setstate__(self, state: Any) -> None:
        self.state = state


class Kept(KnownObject):
    __slots__ = ("state",)

    def set_state(self, state: Any) -> None:
        self.state = state


class KeptBox(Kept):
    __slots__ = ()


class KeptProperties(Kept):
    __slots__ = ()


ALLOWED = {
    (__name__, "Box"): KeptBox,
    (__name__, "Row"): Kept,
    (__name__, "Properties"): KeptProperties,
    (__name__, "Sizes"): tuple_of,
}
numbers = st.sampled_from([0, 1, 255, 256, 65535, 65536, -1, -(1 << 31), 1 << 31, 1 << 62, 1 << 70])
values = st.one_of(
    numbers,
    st.none(),
    st.sampled_from(["", "a", "é", "\x94", "ub", "x" * 300]),
    st.lists(numbers, max_size=6).map(Sizes),
    st.just(1.5),
)


def quickly(data: bytes) -> tuple[Any, int]:
    """Return the value of a pickle, and how many opcodes that make an object were run."""
    runs, new = 0, interpreter.OPCODES[0x81]

    def counted(m: Machine, at: int) -> int:
        nonlocal runs
        runs += 1
        return new(m, at)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter, "OPCODES", [*interpreter.OPCODES])
        interpreter.OPCODES[0x81] = counted
        return interpreter.unpickle(data, allowed=ALLOWED).value, runs


def slowly(data: bytes) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Machine, "may_pass_over", False)
        return interpreter.unpickle(data, allowed=ALLOWED).value


def plain(value: Any) -> Any:
    if isinstance(value, (Kept, Properties)):
        return plain(value.state)
    if isinstance(value, (Box, Row)):
        return plain(vars(value))
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return (
            type(value)(plain(each) for each in value)
            if type(value) is list
            else (*map(plain, value),)
        )
    return value


@pytest.mark.parametrize("protocol", range(6))
@given(st.lists(st.tuples(values, values, st.booleans()), max_size=8), values)
@settings(max_examples=examples(15))
def test_attributes_are_the_same_in_one_step_as_in_many(
    protocol: int, rows: list[tuple[Any, Any, bool]], shared: Any
) -> None:
    boxes = [
        Box(offsets=first, sizes=second, again=shared) if is_three else Box(offsets=first)
        for first, second, is_three in rows
    ]
    data = pickle.dumps([*boxes, shared, boxes], protocol)
    expected = plain(pickle.loads(data))
    assert plain(quickly(data)[0]) == expected
    assert plain(slowly(data)) == expected


@pytest.mark.parametrize("protocol", [2, 4, 5])
@given(
    st.lists(st.tuples(values, st.integers(0, 10), st.booleans(), st.booleans()), max_size=12),
    st.lists(st.text(max_size=3), min_size=12, max_size=12, unique=True),
)
@settings(max_examples=15)
def test_objects_that_hold_others_are_the_same_in_one_step_as_in_many(
    protocol: int, rows: list[tuple[Any, int, bool, bool]], keys: list[str]
) -> None:
    shared = Properties(0.5, None)
    given = {
        key: Row(
            size=value,
            properties=shared if is_shared else Properties(is_true, 7, key and None),
            boxes=[Box(at=Sizes((n, 70_000)), size=value) for n in range(count)],
            is_true=is_true,
        )
        for key, (value, count, is_true, is_shared) in zip(keys, rows, strict=False)
    }
    data = pickle.dumps([given, list(given.values()), given], protocol)
    expected = plain(pickle.loads(data))
    found = quickly(data)[0]
    assert plain(found) == plain(slowly(data)) == expected
    assert found[0] is found[2]
    assert all(a is b for a, b in zip(found[0].values(), found[1], strict=True))


def rows(count: int) -> dict[str, Row]:
    return {
        f"layers.{n}": Row(
            properties=Properties(None, n % 2 == 0, 3),
            size=Sizes((2, n)),
            boxes=[Box(at=Sizes((0, 0)), sizes=Sizes((2, n))) for _ in range(1 + n % 3)],
        )
        for n in range(count)
    }


def test_the_rows_of_a_dict_take_no_step_of_their_own_once_their_objects_have_a_form() -> None:
    given = rows(200)
    found, runs = quickly(pickle.dumps(given, 4))
    assert plain(found) == plain(given)
    assert runs < 20


def test_an_object_that_is_one_value_of_many_rows_is_made_anew_if_the_pickle_asks_for_it() -> None:
    given = rows(9)
    last = given["layers.8"].properties
    data = pickle.dumps([given, last], 4)
    changed = data[:2] + data[11:-2] + b"(N\x89N\x94tb" + data[-2:]
    assert plain(quickly(changed)[0]) == plain(pickle.loads(changed))
    assert plain(pickle.loads(changed)[1]) == (None, False, None)


def boxes(count: int) -> list[Box]:
    name, sizes = "w", Sizes((2, 3))
    return [
        Box(name=name, at=Sizes((n, 0, 0, n << 20)), sizes=sizes, path=f"__{n}_0.distcp", n=None)
        for n in range(count)
    ]


def test_the_objects_after_the_second_take_no_step_of_their_own() -> None:
    given = boxes(200)
    found, runs = quickly(pickle.dumps(given, 4))
    assert plain(found) == plain(given)
    assert runs == 2  # the first has the names of its attributes in it


def test_an_object_that_is_alike_but_shared_stays_one() -> None:
    given = boxes(3)
    found, _ = quickly(pickle.dumps([*given, given[2]], 4))
    assert found[2] is found[3]


def memo_index(data: bytes, name: str) -> int:
    """Return where the memo has what the last opcode of that name made."""
    names = [opcode.name for opcode, _, _ in pickletools.genops(data)]
    last = max(n for n, each in enumerate(names) if each == name)
    return names[:last].count("MEMOIZE")


@pytest.mark.parametrize("name", ["EMPTY_DICT", "TUPLE1"])
def test_what_was_passed_over_is_made_if_the_pickle_asks_for_it(name: str) -> None:
    """The dict of the attributes, and the arguments of the last call."""
    data = pickle.dumps(boxes(3), 4)
    data = data[:2] + data[11:]  # without its frame, whose length is another now
    asked = data[:-1] + b"h" + bytes([memo_index(data, name)]) + b"\x86."
    assert plain([quickly(asked)[0][1]]) == plain([pickle.loads(asked)[1]])


def test_an_index_of_the_memo_that_is_given_again_is_what_it_is_then() -> None:
    data = pickle.dumps(boxes(3), 4)
    data = data[:2] + data[11:]
    place = [at for opcode, _, at in pickletools.genops(data) if opcode.name == "NEWOBJ"][2]
    start = place - 3  # of the opcode that gets the class; the memo has "name" at 6
    again = data[:start] + b"\x8c\5other" + b"q\6" + b"0" + data[start:]
    assert plain(quickly(again)[0]) == plain(pickle.loads(again))
    assert "other" in vars(pickle.loads(again)[2])


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        (b"h\3h\4h\3h\4", "a key is given twice"),
        (b"h\3h\4h\3", "a key has no value"),
        (b"h\3\x8c\1\xff\x94", "utf-8"),
    ],
)
def test_attributes_that_cannot_be_are_refused(attributes: bytes, words: str) -> None:
    made = b"h\0)\x81\x94}\x94("
    start = b"\x80\4(" + b"c" + f"{__name__}\nBox\n".encode() + b"\x94"
    names = b"\x8c\1a\x94\x8c\1b\x94" + made + b"\x8c\1c\x94K\1ub"
    data = start + names.replace(b"\x8c\1c\x94", b"h\1") + made + attributes + b"ubl."
    with pytest.raises(FormatError, match=words):
        quickly(data)


def outcome(read: Any, data: bytes) -> str:
    """Return what reading gives, without the addresses of objects, or the kind of its error."""
    try:
        return re.sub(" at 0x[0-9a-f]+", "", repr(plain(read(data))))
    except (FormatError, AttributeError) as error:  # an object whose state is never set has none
        return type(error).__name__


@pytest.mark.parametrize("made", [rows, boxes])
@given(st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_a_damaged_pickle_is_the_same_in_one_step_as_in_many(made: Any, random: Any) -> None:
    data = bytearray(pickle.dumps(made(30), 4))
    for _ in range(random.randint(1, 3)):
        at = random.randrange(11, len(data))
        end = at + random.choice([0, 1, 1, 4])
        data[at:end] = bytes(random.choice(OFTEN) for _ in range(random.randint(0, 4)))
    assert outcome(lambda d: quickly(d)[0], bytes(data)) == outcome(slowly, bytes(data))


OFTEN = b"h\x94(u}]ae)\x81btRK\x85\x86\x87qj0\0\5N\x88\x8c\x93"
