from __future__ import annotations

import numpy as np
import pytest

from caten_sd.errors import StateDictError
from caten_sd.files.format import Format
from caten_sd.files.stored_specs import stored_specs
from caten_sd.state.leaf import Spec, spec
from caten_sd.state.state_dict import StateDict


class Floats(Format):
    pass


def is_float(known: Spec) -> bool:
    return known.dtype.kind == "float"


def test_tied_leaves_are_listed_once() -> None:
    w = np.ones((2, 3), "f4")
    given = StateDict({"a": w, "b": np.ones(1, "f8"), "tied": w})
    found = stored_specs(Floats(), given, is_float)
    assert found == {"a": spec(w), "b": spec(given["b"])}


@pytest.mark.parametrize(
    ("value", "what"), [(np.ones(1, "i4"), "int32"), ("text", "str"), (None, "NoneType")]
)
def test_what_the_format_cannot_hold_is_named(value: object, what: str) -> None:
    with pytest.raises(StateDictError, match=rf"'step' \({what}\).*convert"):
        stored_specs(Floats(), StateDict({"w": np.ones(1), "step": value}), is_float)
