from __future__ import annotations

import pickle
from collections import OrderedDict
from types import SimpleNamespace

import pytest

from caten_sd.encodings.pickle import opcode_output as out


@pytest.mark.parametrize("n", [0, 255, 256, (1 << 31) - 1, 1 << 31, (1 << 63) - 1, 1 << 64])
def test_numbers(n: int) -> None:
    assert pickle.loads(out.START + out.integer(n) + out.STOP) == n
    assert pickle.loads(out.START + out.sizes([n, n, n, n]) + out.STOP) == (n, n, n, n)


def test_values_nest() -> None:
    inner = out.mapping([(out.text("a"), out.NONE), (out.text("ü"), out.FALSE)])
    data = out.START + out.sequence([inner, out.sizes(()), out.text("")]) + out.STOP
    assert pickle.loads(data) == ({"a": None, "ü": False}, (), "")


def test_objects_and_names_that_are_written_once() -> None:
    memo = out.Memo()
    first = memo.name("types", "SimpleNamespace") + out.POP
    made = out.instance(
        memo.name("types", "SimpleNamespace"), out.mapping([(memo.text("x"), out.integer(3))])
    )
    again = out.called(memo.name("collections", "OrderedDict"))
    value, ordered, text = pickle.loads(
        out.START + first + out.sequence([made, again, memo.text("x")]) + out.STOP
    )
    assert value == SimpleNamespace(x=3)
    assert ordered == OrderedDict()
    assert text == "x"
    assert len(memo.name("types", "SimpleNamespace")) == 2
