from __future__ import annotations

from typing import Any

import pytest

from caten_sd.encodings.pickle.interpreter import unpickle
from caten_sd.errors import FormatError


def read(data: bytes, **options: Any) -> Any:
    return unpickle(data, source_name="a.pkl", **options).value


def test_old_opcodes_make_objects_too() -> None:
    assert read(b"(imodels\nNet\n.").name == "models.Net"
    assert read(b"(cmodels\nNet\nK\1o.").args == (1,)


def test_an_object_may_have_named_arguments() -> None:
    found = read(b"cmodels\nNet\nK\1\x85}U\1aK\2s\x92.")
    assert found.args == (1, {"a": 2})


def test_data_outside_the_pickle_is_asked_for() -> None:
    assert read(b"P7\n.", persistent_load=lambda name: f"stored {name}") == "stored 7"
    assert read(b"K\7Q.", persistent_load=lambda name: name + 1) == 8


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"K\1K\2\x93.", "name of a global is not text"),
        (b"cmodels\nNet\n)]\x92.", "not a tuple and a dict"),
        (b"}}b.", "state is set on a dict"),
        (b"cmodels\nNet\n]R.", "models.Net is called with a list"),
        (b"K\1Q.", "this file stores none"),
    ],
)
def test_a_call_of_the_wrong_shape_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        read(data)
