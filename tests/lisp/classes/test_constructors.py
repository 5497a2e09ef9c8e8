from __future__ import annotations

import inspect

import pytest
import torch

from caten_sd import nn
from caten_sd.lisp.classes.constructors import CONSTRUCTORS
from caten_sd.lisp.classes.signatures import signature_of
from caten_sd.lisp.syntax.datum import single
from tests.lisp.forms import evaluated, refused

EPS = float(single(1e-5))
OTHERS = {"BATCHNORM"}  # a function here, which takes a list of one size
IN_LISP = sorted(set(CONSTRUCTORS) - OTHERS)


@pytest.mark.parametrize("name", IN_LISP)
def test_the_class_here_has_catens_arguments_and_defaults(name: str) -> None:
    constructor = CONSTRUCTORS[name]
    ours = inspect.signature(constructor.model).parameters
    for each, parameter in signature_of(constructor.arguments).parameters.items():
        if each.upper().replace("_", "-") in constructor.dropped:
            continue
        assert each in ours
        if parameter.default not in (inspect.Parameter.empty, ...):
            given = str(getattr(parameter.default, "name", parameter.default)).lower()
            if given[0].isdigit() or given[0] == "-":
                assert ours[each].default == pytest.approx(float(given), rel=1e-6)
            else:
                assert given == str(ours[each].default).lower()


@pytest.mark.parametrize(
    ("form", "built"),
    [
        ("(Linear 3 2 :bias nil)", nn.Linear(3, 2, bias=False)),
        ("(Embedding 5 3)", nn.Embedding(5, 3)),
        ("(LayerNorm '(4) :eps 1d-3)", nn.LayerNorm(4, eps=1e-3)),
        ("(LayerNorm '(3 4) :eps 1d-3)", nn.LayerNorm((3, 4), eps=1e-3, last_axis_only=True)),
        (
            "(RMSNorm 4 :weight nil :eps 0.5)",
            nn.RMSNorm(4, weight=False, eps=0.5),
        ),
        ("(BatchNorm '(4) :affine nil :eps 0.5)", nn.BatchNorm(4, affine=False, eps=0.5)),
        ("(ConvND 4 6 '(3 2) :groups 2 :stride 2)", nn.ConvND(4, 6, (3, 2), groups=2, stride=2)),
        ("(Attention 8 2 16 :use-kv-cache nil)", nn.Attention(8, 2, 16)),
        ("(GeLU :approx :sigmoid)", nn.GELU("sigmoid")),
        ("(LeakyReLU :neg-slope 0.5)", nn.LeakyReLU(0.5)),
        ("(RoPE 4)", nn.RoPE(4)),
    ],
)
def test_what_is_built(form: str, built: nn.Module) -> None:
    found = evaluated(form)
    assert type(found) is type(built)
    assert repr(found) == repr(built)


def test_a_pool_rounds_by_a_function_of_lisp() -> None:
    x = torch.arange(25.0).reshape(1, 1, 5, 5)
    assert evaluated("(MaxPool '(2 2))")(x).shape == nn.MaxPool(2)(x).shape
    pool = evaluated("(MaxPool '(2 2) :ceiling #'floor)")
    assert pool.ceiling(2.7) == 2
    assert evaluated("(AvgPool 2 :ceiling (lambda (x) (floor x)))").ceiling(2.7) == 2


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("(Linear 3)", "out-features of Linear is missing; the arguments are (in-features"),
        ("(Linear)", "in-features, out-features of Linear are missing"),
        ("(Linear 3 2 :foo 1)", ":foo is not a key of Linear"),
        ("(Linear 3 2 1)", "too many"),
        ("(Linear 3 2 :bias)", ":bias of Linear has no value"),
        ("(Linear 7/2 2)", "7/2 is a ratio"),
        ("(Linear 'a 2)", "in_features must be a positive integer"),
        ("(Linear #'+ 2)", "not a function"),
        ("(Linear 0 2)", "in_features must be a positive integer"),
        ("(Linear 10000000000 10000000000)", "correct its arguments"),
        ("(BatchNorm '(4 5))", "pass one size"),
        ("(GeLU :approx :none-such)", "approx must be one of"),
        ("(Attention 8 3 16)", "3 heads do not divide"),
    ],
)
def test_refusals(form: str, said: str) -> None:
    assert said in refused(form)


def test_a_file_has_its_own_model_of_a_name() -> None:
    text = "(defmodel (Linear (n)) ((w (rand (list n)))))"
    assert evaluated("(Linear 3)", text).w.shape == (3,)
