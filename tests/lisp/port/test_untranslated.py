"""What is not translated is said, and the keys of all the rest are there."""

from __future__ import annotations

import ast
import warnings
from typing import Any

import pytest
import torch

from caten_sd.lisp.lisp_file import read_lisp
from caten_sd.lisp.port.ported_module import port
from caten_sd.lisp.port.untranslated import Untranslated
from tests.lisp.port.modules import executed, shapes

REST = [("fc.weight", (2, 3)), ("fc.bias", (2,)), ("out.weight", (4, 3)), ("out.bias", (4,))]


def net(slot: str, before: str = "", body: str = "") -> str:
    slots = f"(fc (Linear n 2))\n  {slot}\n  (out (Linear n 4))"
    return f"{before}\n(defmodel (Net (n))\n ({slots}) {body})"


@pytest.mark.parametrize(
    "slot",
    [
        "(tail (assoc n (list (list n (Linear n n)))))",
        "(tail (getf (list :a n) :a))",
        "(tail (position n (list n)))",
        "(tail (cons (Linear n n) (Linear n n)))",
        "(tail (some-thing n))",
        "(tail (Linear widht n))",
        "(tail (loop for i from 0 below 3 maximize i))",
        "(tail 'name)",
        f"(tail {'(+ 1 (* n ' * 70} 1 {'))' * 70})",
    ],
)
def test_a_slot_that_is_not_translated_leaves_the_keys_of_the_others(slot: str) -> None:
    ported = port(net(slot))
    if not ported.problems:  # translated in the meantime
        assert shapes(executed(ported.text).Net(3)) == shapes(read_lisp(net(slot)).model("Net")(3))
        return
    assert all(each.startswith("text:4:") for each in ported.problems)
    assert "        # Not translated: text:4:" in ported.text
    with pytest.warns(UserWarning, match="Net has no state for its slot tail: text:4 is not"):
        model = executed(ported.text).Net(3)
    assert shapes(model) == REST
    assert model.tail is None


@pytest.mark.parametrize(
    ("slot", "before", "places"),
    [
        ("(a (f n))", "(defun f (x) (getf x :a))", [1, 4]),
        ("(a (funcall #'f n))", "(defun f (x) (getf x :a))", [1, 4]),
        ("(a (Linear n *w*))", "(defparameter *w* (make-hash-table))", [1, 4]),
        ("(a (getf n :a)) (b (list a))", "", [4, 4]),
    ],
)
def test_what_reads_it_is_not_translated_either(slot: str, before: str, places: list[int]) -> None:
    ported = port(net(slot, before))
    assert [int(each.split(":")[1]) for each in ported.problems] == places
    with pytest.warns(UserWarning, match="has no state for its slot [ab]"):  # noqa: PT031
        warnings.simplefilter("always")
        assert shapes(executed(ported.text).Net(3)) == REST


def test_a_forward_pass_that_reads_it_refuses_and_another_one_runs() -> None:
    text = net("(tail (assoc n n))") + "(defcall (self Net) (X[~]) (!+ x (slot-value self '{})))"
    executed_ = executed(port(text.format("tail")).text)
    with pytest.warns(UserWarning, match="slot tail"):
        model = executed_.Net(3)
    with pytest.raises(NotImplementedError, match="text:5 is not translated"):
        model(torch.ones(1))


def test_a_body_that_is_not_translated_is_said_and_the_model_has_its_keys() -> None:
    ported = port(net("(a 1)", body="(mapc #'print (list fc))"))
    with pytest.warns(UserWarning, match="Net lacks what follows its slots: text:5"):
        assert shapes(executed(ported.text).Net(3)) == REST


def test_a_node_that_is_not_translated_keeps_its_place() -> None:
    ported = port("(defsequence Mlp (n) (Linear n 2)\n (asnode #'foo)\n (assoc 1 n) (Linear 2 3))")
    with pytest.warns(UserWarning, match="node 2 has no state: text:3") as said:
        model = executed(ported.text).Mlp(4)
    assert len(said) == 1  # a function has no state
    assert [key for key, _ in shapes(model)] == [f"mlp.{at}.{w}" for at in (0, 3) for w in W]
    with pytest.raises(NotImplementedError, match="text:2"):
        model(torch.ones(1, 4))


W = ("weight", "bias")


@pytest.mark.parametrize("kind", ["&key", "&optional"])
def test_a_default_that_is_not_translated_must_be_passed(kind: str) -> None:
    text = f"(defmodel (Net (n {kind} (m (getf n :a)) (k 2))) ((fc (Linear n m))))"
    module = executed(port(text).text)
    with pytest.raises(NotImplementedError, match="text:1 is not translated; pass m"):
        module.Net(3)
    assert shapes(module.Net(3, m=2)) == [("fc.weight", (2, 3)), ("fc.bias", (2,))]


def test_an_aux_variable_that_is_not_translated_costs_what_reads_it_alone() -> None:
    text = "(defmodel (Net (n &aux (m (getf n :a)))) ((fc (Linear n 2)) (x (Linear n m))))"
    ported = port(text)
    assert [each.split(" ")[1] for each in ported.problems] == ["getf", "m"]
    with pytest.warns(UserWarning, match="Net has no state for its slot x: text:1"):
        assert shapes(executed(ported.text).Net(3)) == REST[:2]


def test_what_is_written_is_clean_and_quotes_what_it_names() -> None:
    said = Untranslated("/x/a.lisp", 'a"{b}\\n.lisp')
    from caten_sd.lisp.syntax.datum import SourcePlace

    text = said.refusal(SourcePlace("/x/a.lisp", 7, 1), "'; \"pass x")
    with pytest.raises(NotImplementedError) as error:
        exec(text)
    assert str(error.value) == 'a"{b}\\n.lisp:7 is not translated\'; "pass x'
    ast.parse(port(net("(tail (assoc n n))")).text)


def test_nothing_warns_where_all_is_translated() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module: Any = executed(port(net("(tail (cons n (list n)))")).text)
        assert shapes(module.Net(3)) == REST
    assert "warnings" not in port(net("(tail (cons n (list n)))")).text
