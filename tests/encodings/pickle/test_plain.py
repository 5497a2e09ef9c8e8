from __future__ import annotations

import collections
import pickle
from typing import Any

import pytest

from caten_sd.encodings.pickle.inert_values import Ordered
from caten_sd.encodings.pickle.interpreter import unpickle


def read(data: bytes, **options: Any) -> Any:
    return unpickle(data, source_name="a.pkl", **options).value


@pytest.mark.parametrize("protocol", range(6))
def test_containers_that_pickle_by_name(protocol: int) -> None:
    given = {
        "default": collections.defaultdict(list, {"a": [1]}),
        "counter": collections.Counter("aab"),
        "deque": collections.deque([1, 2], maxlen=3),
        "nested": collections.OrderedDict(a=collections.OrderedDict(b=1)),
    }
    found = read(pickle.dumps(given, protocol))
    assert found == {**given, "deque": [1, 2]}
    assert type(found["nested"]["a"]) is Ordered


def test_a_name_of_python_2_is_that_of_python_3() -> None:
    assert read(b"c__builtin__\nset\n](K\1K\2e\x85R.") == {1, 2}
    assert read(b"c_codecs\nencode\n(U\1aU\6latin1tR.") == b"a"
