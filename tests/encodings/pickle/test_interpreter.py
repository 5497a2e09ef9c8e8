from __future__ import annotations

import argparse
import collections
import datetime
import functools
import pathlib
import pickle
import pickletools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caten_sd.encodings.pickle.inert_values import Instance, Reference
from caten_sd.encodings.pickle.interpreter import OPCODES, Unpickled, _unknown, unpickle
from caten_sd.errors import FormatError
from tests.properties import examples

PROTOCOLS = range(6)


def read(data: bytes, **options: Any) -> Any:
    return result(data, **options).value


def result(data: bytes, **options: Any) -> Unpickled:
    return unpickle(data, source_name="a.pkl", **options)


# Plain values: Python's own pickler writes, and its own unpickler is the oracle.

numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
texts = st.text(st.characters(), max_size=9)
plain = (
    st.none()
    | st.booleans()
    | numbers
    | texts
    | st.binary(max_size=300)
    | st.complex_numbers(allow_nan=False)
)
keys = texts | st.integers(-(2**63), 2**64 - 1) | st.tuples(texts, st.booleans())
values = st.recursive(
    plain,
    lambda below: (
        st.lists(below, max_size=5)
        | st.tuples(below, below)
        | st.lists(below, max_size=5).map(tuple)
        | st.dictionaries(keys, below, max_size=5)
        | st.dictionaries(keys, below, max_size=3).map(collections.OrderedDict)
        | st.sets(keys, max_size=4)
        | st.frozensets(keys, max_size=4)
        | st.binary(max_size=9).map(bytearray)
    ),
    max_leaves=20,
)


@settings(max_examples=examples(300))
@given(values, st.sampled_from(PROTOCOLS), st.booleans())
def test_plain_values_are_read_as_python_reads_them(
    value: Any, protocol: int, mapped: bool
) -> None:
    data = pickle.dumps(value, protocol)
    found = unpickle(memoryview(data) if mapped else data, source_name="a.pkl")
    assert found.end == len(data)
    assert not found.opaque
    same(found.value, pickle.loads(data))


def same(found: Any, expected: Any) -> None:
    assert found == expected
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            same(found[key], expected[key])
        return
    assert type(found) is type(expected)
    if isinstance(expected, (list, tuple)):
        for one, other in zip(found, expected, strict=True):
            same(one, other)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_shared_stays_shared_and_a_cycle_stays_one(protocol: int) -> None:
    shared = ["x"]
    ring: list[Any] = [shared, shared]
    ring.append(ring)
    found = read(pickle.dumps({"ring": ring, "again": shared}, protocol))
    assert found["ring"][0] is found["ring"][1] is found["again"]
    assert found["ring"][2] is found["ring"]


def test_every_opcode_of_pythons_own_list_is_known_but_those_that_reach_out() -> None:
    known = {ord(opcode.code) for opcode in pickletools.opcodes}
    ours = {code for code in range(256) if OPCODES[code] is not _unknown}
    # STOP is the loop's; EXT1 to EXT4 name a registry of the process, NEXT_BUFFER another channel.
    assert known - ours == {ord("."), 0x82, 0x83, 0x84, 0x97}
    assert ours <= known


def test_the_end_is_where_the_pickle_ends() -> None:
    first, second = pickle.dumps([1]), pickle.dumps("two")
    end = result(first + second).end
    assert end == len(first)
    assert result(first + second, start=end) == ("two", len(first) + len(second), {}, {})


# Objects whose classes are not imported.


class Config(argparse.Namespace):
    pass


class Words(list[str]):
    pass


class Table(dict[str, int]):
    pass


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_object_keeps_its_name_arguments_and_state(protocol: int) -> None:
    given = {
        "plain": argparse.Namespace(lr=0.1),
        "config": Config(lr=0.1),
        "words": Words(["a"]),
        "table": Table(a=1),
        "path": pathlib.PurePosixPath("/tmp/x"),
        "date": datetime.date(2020, 1, 2),
        "class": Config,
        "partial": functools.partial(int, base=2),
    }
    full = result(pickle.dumps(given, protocol))
    found = full.value
    assert found["plain"].name == "argparse.Namespace"
    assert found["plain"].state == {"lr": 0.1}
    assert found["config"].name == f"{__name__}.Config"
    assert found["config"].state == {"lr": 0.1}
    assert found["words"].entries == ["a"]
    assert found["table"].entries == {"a": 1}
    assert found["path"].args == ("/", "tmp", "x")
    assert found["date"].name == "datetime.date"
    assert type(found["class"]) is Reference
    assert found["partial"].state[2] == {"base": 2}
    assert full.opaque[f"{__name__}.Config"] == 1
    assert all(type(v) is Instance for k, v in found.items() if k != "class")


def test_a_wrong_call_of_an_allowed_name_is_the_files_fault() -> None:
    with pytest.raises(FormatError, match="malformed at byte"):
        read(b"cm\nf\n)R.", allowed={("m", "f"): lambda needed: needed})
