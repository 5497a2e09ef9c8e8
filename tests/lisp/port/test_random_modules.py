"""Random definitions: the Python that is written has the keys and shapes that Lisp gives."""

from __future__ import annotations

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from caten_sd.lisp.lisp_file import read_lisp
from caten_sd.lisp.port.ported_module import port
from tests.properties import examples

from ..random_models import RandomModel, random_models
from .modules import executed, shapes

SMALL = st.integers(1, 6)


@settings(max_examples=examples(25), phases=[Phase.generate])
@given(random_models(), SMALL, SMALL, SMALL)
def test_keys_and_shapes(model: RandomModel, n: int, size: int, k: int) -> None:
    ported = port(model.text)
    assert ported == port(model.text)
    assert ported.problems == ()
    made = executed(ported.text).M
    expected = shapes(read_lisp(model.text).model("M")(n, size, k=k))
    assert expected == list(model.shapes({"n": n, "size-2": size, "k": k}).items())
    assert shapes(made(n, size, k=k)) == expected
