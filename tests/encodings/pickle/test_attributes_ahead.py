"""What is read in one step is what is read one opcode at a time, and what Python reads."""

from __future__ import annotations

import pickle
import pickletools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caten_sd.encodings.pickle import interpreter
from caten_sd.encodings.pickle.known_object import KnownObject, tuple_of
from caten_sd.encodings.pickle.machine import Machine
from caten_sd.errors import FormatError
from tests.properties import examples


class Sizes(tuple[Any, ...]):
    def __reduce__(self) -> Any:
        return Sizes, (tuple(self),)


class Box:
    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Kept(KnownObject):
    __slots__ = ("state",)

    def set_state(self, state: Any) -> None:
        self.state = state


ALLOWED = {(__name__, "Box"): Kept, (__name__, "Sizes"): tuple_of}
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
    if isinstance(value, list):
        return [plain(each) for each in value]
    state = value.state if type(value) is Kept else vars(value) if type(value) is Box else None
    if state is not None:
        return {name: plain(each) for name, each in state.items()}
    return tuple(value) if isinstance(value, tuple) else value


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
