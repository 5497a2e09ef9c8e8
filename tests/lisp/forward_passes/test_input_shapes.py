from __future__ import annotations

import pytest
import torch

from caten_sd.errors import LispError
from caten_sd.lisp.forward_passes.input_shapes import InputShape, bind_inputs, input_shapes
from caten_sd.lisp.syntax.datum import SourcePlace
from caten_sd.lisp.syntax.reader import read_data

PLACE = SourcePlace("net.lisp", 3, 5)


def declared(text: str) -> tuple[InputShape, ...]:
    return input_shapes(read_data(text, "net.lisp"))


def bind(text: str, *inputs: object) -> dict[str, object]:
    return bind_inputs(declared(text), inputs, "Net", PLACE)


def ones(*shape: int) -> torch.Tensor:
    return torch.ones(shape)


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("", ()),
        ("X[~]", (InputShape("X", (), any_rank=True),)),
        ("X [ ~  n ]", (InputShape("X", ("N",), any_rank=True),)),
        (
            "Tokens[Batch Seq-Len] P[]",
            (InputShape("TOKENS", ("BATCH", "SEQ-LEN")), InputShape("P", ())),
        ),
        ("|Wq|[n]X[n]", (InputShape("Wq", ("N",)), InputShape("X", ("N",)))),
    ],
)
def test_shapes_are_split_at_brackets(text: str, shapes: tuple[InputShape, ...]) -> None:
    assert declared(text) == shapes


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("X", "x is not an input"),
        ("X[n", "not an input"),
        ("X[n ~]", "~ is not the first size of x"),
        ("X[n] X[m]", "input x is there twice"),
        ("X[n] 3", "3 is not an input"),
        ("X[3 n] :key", ":key is not an input"),
    ],
)
def test_what_is_no_shape_is_refused(text: str, facts: str) -> None:
    with pytest.raises(LispError, match=rf"net.lisp:1:.*(?i:{facts})"):
        declared(text)


def test_names_are_bound_to_inputs_and_sizes() -> None:
    x, y = ones(2, 3, 4), ones(4)
    assert bind("X[batch m n]", x) == {"X": x, "BATCH": 2, "M": 3, "N": 4}
    found = bind("X[~ n] Y[n] P[] Q[]", x, y, 7, torch.tensor(1.0))
    assert found["N"] == 4
    assert found["P"] == 7
    assert bind("N[n]", y) == {"N": 4}


@pytest.mark.parametrize(
    ("text", "inputs", "facts"),
    [
        ("X[a b]", (ones(2, 3, 4),), r"x\[a b\] has the shape \(2, 3, 4\).*2 axes"),
        ("X[~ a b]", (ones(3),), r"\(3,\).*at least 2 axes"),
        ("X[n] Y[n]", (ones(2), ones(3)), r"n is 2 in x\[n\] and 3 in y\[n\]"),
        ("X[n n]", (ones(2, 3),), "n is 2 in .* and 3 in"),
        ("A[~] B[~]", (ones(2, 3), ones(3)), r"~ is \(2, 3\) in a\[~\] and \(3,\) in b\[~\]"),
        ("P[]", (ones(1),), r"p\[\] has the shape \(1,\).*a number"),
        ("P[]", (None,), r"p\[\] is nil"),
        ("X[n]", (), r"Net was called with 0 inputs.*pass 1: x\[n\]"),
        ("", (ones(2),), "with 1 input; pass 0: none"),
    ],
)
def test_inputs_that_do_not_match_are_refused(
    text: str, inputs: tuple[object, ...], facts: str
) -> None:
    with pytest.raises(LispError, match=rf"^net.lisp:3:5: .*{facts}"):
        bind(text, *inputs)
