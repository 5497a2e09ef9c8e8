from __future__ import annotations

import math

import pytest
import torch

from tests.lisp.forms import evaluated, refused


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ("(linspace '(2 3) 1 0)", [[0, 1, 2], [3, 4, 5]]),
        ("(ax+b '(3) 1/2 1)", [1, 1.5, 2]),
        ("(linspace nil 0 7)", 7),
        ("(make-tensor '(2) :initial-element 3)", [3, 3]),
        ("(make-tensor '(2))", [0, 0]),
        ("(fconst 1.5)", 1.5),
        ("(iconst 3)", 3),
    ],
)
def test_values(form: str, values: object) -> None:
    assert evaluated(form).tolist() == values


@pytest.mark.parametrize("maker", ["rand", "randn", "uniform", "normal", "xavier-uniform"])
def test_random_tensors(maker: str) -> None:
    tensor = evaluated(f"({maker} '(3 4))")
    assert (tensor.shape, tensor.dtype) == ((3, 4), torch.float32)
    assert not tensor.requires_grad
    assert len(set(tensor.flatten().tolist())) == 12


def test_bounds_of_random_tensors() -> None:
    assert 2 <= evaluated("(uniform '(999) :low 2 :high 3)").mean() <= 3
    assert 0 <= evaluated("(rand '(999))").min() < evaluated("(rand '(999))").max() <= 1
    assert 90 < evaluated("(normal '(999) :mean 100 :std 1/2)").mean() < 110
    bound = math.sqrt(6 / 40)
    assert evaluated("(xavier-uniform '(20 20))").abs().max() <= bound


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float16", torch.float16), ("int8", torch.int8), ("bfloat16", torch.bfloat16)],
)
def test_a_dtype_is_named_by_a_keyword(dtype: str, expected: torch.dtype) -> None:
    assert evaluated(f"(make-tensor '(2) :dtype :{dtype})").dtype == expected
    assert evaluated("(iconst 3)").dtype == torch.int64
    assert evaluated("(rand '(2) :dtype *default-float*)").dtype == torch.float32


def test_what_requires_a_gradient_is_a_parameter() -> None:
    assert isinstance(evaluated("(rand '(2) :requires-grad t)"), torch.nn.Parameter)
    assert not isinstance(evaluated("(rand '(2) :requires-grad nil)"), torch.nn.Parameter)
    integers = evaluated("(make-tensor '(2) :dtype :int64 :requires-grad t)")
    assert not integers.requires_grad


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("(rand 3)", "3 is not a shape"),
        ("(rand '(0))", "0 is not a size"),
        ("(rand '(3/2))", "integer"),
        ("(rand '(2) :low 3)", ":low is not a key"),
        ("(rand '(2) :dtype)", "no value"),
        ("(rand '(2) :dtype :float7)", ":float32"),
        ("(rand '(1000000 1000000))", "elements"),
        ("(xavier-uniform '(3))", "two sizes"),
        ("(make-tensor '(2) :from 3)", ":from"),
        ("(linspace '(2) 'a 0)", "not a tensor or a number"),
    ],
)
def test_refusals(form: str, said: str) -> None:
    assert said in refused(form)
