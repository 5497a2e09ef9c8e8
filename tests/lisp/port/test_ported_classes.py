"""Names of classes and forward passes: each stands for one thing in the module."""

from __future__ import annotations

import ast

import pytest
import torch

from caten_sd.errors import LispError
from caten_sd.lisp.port.ported_module import port
from tests.lisp.port.modules import module_of, shapes

CALLED = "(defmodel ({0} (n)) ((fc (Linear n 2)))) (defcall (self {0}) (X[~]) (call (slot-value self 'fc) x))\n"  # noqa: E501


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["net"], ["net"]),
        (["MLP", "|Mlp|", "|mlp|"], ["MLP", "Mlp", "mlp"]),
        (["Foo-Bar", "Foo_Bar"], ["Foo_Bar", "Foo_Bar_"]),
        (["Tensor", "Module", "torch"], ["Tensor_", "Module_", "torch_"]),
        (["len", "Any", "Parameter"], ["len_", "Any_", "Parameter_"]),
    ],
)
def test_no_name_stands_for_two_things(names: list[str], classes: list[str]) -> None:
    text = "".join(CALLED.format(each) for each in names)
    body = ast.parse(port(text).text).body
    defined = [e.name for e in body if isinstance(e, (ast.ClassDef, ast.FunctionDef))]
    assert [each for each in defined if each in classes] == classes
    assert len(set(defined)) == 2 * len(names)
    module = module_of(text)
    for each in classes:
        model = getattr(module, each)(3)
        assert shapes(model) == [("fc.weight", (2, 3)), ("fc.bias", (2,))]
        assert model(torch.ones(1, 3)).shape == (1, 2)


def test_a_model_holds_one_whose_name_is_that_of_its_forward_pass() -> None:
    text = CALLED.format("net") + "(defmodel (Big (n)) ((net (net n))))"
    assert [key for key, _ in shapes(module_of(text).Big(3))] == ["net.fc.weight", "net.fc.bias"]


@pytest.mark.parametrize(
    ("bases", "said"),
    [
        ({"A": "A"}, "A is a subclass of itself"),
        ({"A": "B", "B": "A"}, "A is a subclass of itself"),
        ({f"C{at}": f"C{at + 1}" for at in range(2000)}, "C150 is a base of more than 149 classes"),
    ],
)
def test_bases_that_never_end_or_end_too_late_are_refused(bases: dict[str, str], said: str) -> None:
    text = "".join(f"(defclass {each} ({base}) ())" for each, base in bases.items())
    with pytest.raises(LispError, match=rf"^text:1:\d+: .*{said}"):
        port(text)


@pytest.mark.parametrize("letter", ["\0", "\x1b", "\u2028", "\x0c", "\ufeff", "\\"])
def test_a_letter_that_python_does_not_take_in_a_docstring_is_escaped(letter: str) -> None:
    quoted = letter.replace("\\", "\\\\")
    text = f'(defmodel (Net () :documentation "a{quoted}b") ((s "{quoted}")))'
    module = module_of(text)
    assert (module.Net.__doc__ or "").replace(" ", letter) == f"a{letter}b"
    assert module.Net().s == letter
