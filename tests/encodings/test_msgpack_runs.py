from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.encodings.msgpack import Cursor, Payload
from caten_sd.encodings.msgpack_runs import Runs
from caten_sd.errors import FormatError
from caten_sd.state.backing import BytesBacking
from caten_sd.state.header_memory import HeaderMemory
from caten_sd.state.source import Source

SMALL = (
    st.integers(-(2**63), 2**64 - 1)
    | st.integers(-40, 300)
    | st.floats(allow_nan=False, width=32)
    | st.text(max_size=40)
    | st.sampled_from([None, True, False, [], {}, ""])
)


def read(data: bytes) -> object:
    return Cursor(Source("a.msgpack", BytesBacking(data), 0, len(data))).value()


@given(
    st.lists(st.lists(SMALL, max_size=4) | st.lists(SMALL, min_size=1).map(lambda v: v[:1] * 20)),
    st.booleans(),
)
def test_a_list_is_read_as_msgpack_reads_it(rows: list[list[object]], single: bool) -> None:
    values = [value for row in rows for value in row]
    data = msgpack.packb(values, use_single_float=single)
    assert read(data) == msgpack.unpackb(data)


@pytest.mark.parametrize("value", ["ab", "a longer text", 1000, 1 << 40, 1.5, -7, 200, None, [1]])
def test_a_long_list_is_read_across_the_ends_of_what_is_in_memory(value: object) -> None:
    values = [value, "x", *[value] * 5000, 7]
    assert read(msgpack.packb(values)) == values


@pytest.mark.parametrize("other", [1.5, "a longer text", b"", b"123456789", [1], 1000, None])
@pytest.mark.parametrize("value", [1 << 20, "abcde", -7])
def test_values_that_alternate_are_read_across_the_ends_of_what_is_in_memory(
    value: object, other: object
) -> None:
    found = read(msgpack.packb([value, other] * 2500))
    assert isinstance(found, list)
    sizes = [item.size if isinstance(item, Payload) else item for item in found]
    assert sizes == [value, len(other) if isinstance(other, bytes) else other] * 2500


@pytest.mark.parametrize("token", [b"\xa2\xff\xff", b"\xa5\xff\xff\xff\xff\xff"])
def test_a_text_that_is_not_utf_8_is_refused(token: bytes) -> None:
    with pytest.raises(FormatError, match=r"a\.msgpack: .*not UTF-8"):
        read(b"\xdc\x00\x20" + token * 32)


def test_a_value_that_is_cut_off_ends_a_run() -> None:
    runs = Runs(HeaderMemory("a.msgpack", 100))
    for cut in (b"\xcd\x01", b"\xa2a", b"\xcb\0\0", b"\xa9abc", b"\xd9\x04abcd"):
        assert runs.read(b"\x01\xa1b" + cut, 0, 9) == ([1, "b"], 3)


def test_equal_short_values_are_one_object() -> None:
    values = read(msgpack.packb([1000, "ab"] * 20))
    assert isinstance(values, list)
    assert len(set(map(id, values))) == 2
