from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from caten_sd.errors import ModelError
from caten_sd.lisp.operators.elementwise import MANY, ONE, TWO

ONE_BY_NUMPY = {
    "!neg": np.negative,
    "!recip": np.reciprocal,
    "!rsqrt": lambda x: 1 / np.sqrt(x),
    "!abs": np.abs,
    "!square": np.square,
    "!sqrt": np.sqrt,
    "!exp": np.exp,
    "!exp2": np.exp2,
    "!log": np.log,
    "!log2": np.log2,
    "!sin": np.sin,
    "!cos": np.cos,
    "!tan": np.tan,
    "!sinh": np.sinh,
    "!cosh": np.cosh,
    "!tanh": np.tanh,
    "!erf": np.vectorize(math.erf, otypes=[np.float32]),
    "!signum": np.sign,
    "!floor": np.floor,
    "!ceiling": np.ceil,
    "!truncate": np.trunc,
}
TWO_BY_NUMPY = {
    "!add": np.add,
    "!sub": np.subtract,
    "!mul": np.multiply,
    "!div": np.divide,
    "!mod": np.fmod,
    "!maximum": np.maximum,
    "!minimum": np.minimum,
    "!eq": np.equal,
    "!neq": np.not_equal,
    "!<": np.less,
    "!<=": np.less_equal,
    "!>": np.greater,
    "!>=": np.greater_equal,
}
OF_INTEGERS = {
    "!expt": np.power,
    "!gcd": np.gcd,
    "!lcm": np.lcm,
    "!and": np.bitwise_and,
    "!or": np.bitwise_or,
    "!xor": np.bitwise_xor,
}


def test_all_of_them_are_tested() -> None:
    assert {each.lower() for each in ONE} == set(ONE_BY_NUMPY)
    assert {each.lower() for each in (*TWO, "!EXPT")} == {*TWO_BY_NUMPY, *OF_INTEGERS}


@pytest.mark.parametrize("name", ONE_BY_NUMPY)
@pytest.mark.filterwarnings("ignore:(invalid|divide):RuntimeWarning")
def test_one_operand(run, name: str) -> None:
    x = torch.tensor([[-2.5, -1.0, -0.3], [0.3, 1.0, 2.5]])
    expected = torch.from_numpy(np.asarray(ONE_BY_NUMPY[name](x.numpy())))
    torch.testing.assert_close(run(name, x), expected, rtol=1e-6, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("name", TWO_BY_NUMPY)
def test_two_operands_of_shapes_that_broadcast(run, name: str) -> None:
    a, b = torch.randn(4, 1, 3), torch.randn(2, 1)
    b[0, 0] = a[0, 0, 0]
    expected = torch.from_numpy(TWO_BY_NUMPY[name](a.numpy(), b.numpy()))
    torch.testing.assert_close(run(name, a, b), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", OF_INTEGERS)
def test_two_integers(run, name: str) -> None:
    a, b = torch.tensor([12, 7, 9]), torch.tensor([8, 0, 3])
    assert run(name, a, b).tolist() == OF_INTEGERS[name](a.numpy(), b.numpy()).tolist()


@pytest.mark.parametrize(
    ("name", "expected"), [("!+", 8 + 3 + 2), ("!-", 8 - 3 - 2), ("!*", 48), ("!/", 8 / 3 / 2)]
)
def test_many_operands_are_taken_from_the_left(run, name: str, expected: float) -> None:
    assert name in MANY
    assert run(name, torch.tensor(8.0), 3, 2).item() == pytest.approx(expected)
    assert run(name, torch.tensor(8.0)).item() == 8  # as in Caten, also for !- and !/


def test_numbers_are_operands_too(run) -> None:
    assert run("!add", 1, Fraction(1, 2)).item() == 1.5
    with pytest.raises(ModelError, match="nil is not a tensor or a number"):
        run("!add", torch.ones(1), None)


def test_integers_are_divided_as_in_c(run) -> None:
    assert run("!idiv", torch.tensor([7, -7]), torch.tensor(2)).tolist() == [3, -3]
    assert run("!mod", torch.tensor([7, -7]), 4).tolist() == [3, -3]
    with pytest.raises(ModelError, match="!div"):
        run("!idiv", torch.tensor(7.0), 2)


def test_a_choice_and_a_limit(run) -> None:
    x = torch.tensor([-2.0, 0.5, 3.0])
    assert run("!where", x, 1, x).tolist() == [1, 1, 1]
    assert run("!where", run("!>", x, 0), x, 0).tolist() == [0, 0.5, 3]
    assert run("!clip", x, -1, torch.tensor([0.0, 1.0, 2.0])).tolist() == [-1, 0.5, 2]


def test_dtypes_are_named_by_keywords(run, keyword) -> None:
    x = torch.tensor([1.7, 2.0])
    assert run("!cast", x, keyword("int32")).dtype == torch.int32
    assert run("!const", x.half(), 3).dtype == torch.float16
    assert run("!identity", x) is x
    with pytest.raises(ModelError, match=r":int31.*:float32"):
        run("!cast", x, keyword("int31"))
