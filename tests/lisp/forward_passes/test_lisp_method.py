from __future__ import annotations

import pytest

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.definition import CallDefinition, MethodDefinition
from caten_sd.lisp.definitions.toplevel import definitions
from caten_sd.lisp.forward_passes.lisp_method import LispMethod
from caten_sd.lisp.syntax.reader import read_data


def method(text: str) -> LispMethod:
    (found,) = definitions(read_data(text, "net.lisp"))
    assert isinstance(found, (MethodDefinition, CallDefinition))
    return LispMethod.of(found)


def test_a_defcall_is_a_method_of_call_for_its_model() -> None:
    called, defined = method("(defcall (m Net) (X[~]) x)"), method("(defmethod call ((m Net)) m)")
    assert called.identity == defined.identity == ("", "Net")
    assert str(called) == str(defined) == "(Net)"


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("(defmethod f (a (b Net) &key c) a)", ("", "T", "Net")),
        ("(defmethod f :before ((a (eql :x))) a)", ("BEFORE", "(eql :x)")),
        ("(defmethod f :around ((a Net)) a)", ("AROUND", "Net")),
    ],
)
def test_a_method_is_told_by_its_qualifier_and_classes(text: str, identity) -> None:
    assert method(text).identity == identity


@pytest.mark.parametrize("qualifiers", [":sometimes", ":before :after"])
def test_another_qualifier_is_refused(qualifiers: str) -> None:
    with pytest.raises(LispError, match=f"net.lisp:1:1: .*{qualifiers.strip(':').split()[0]}"):
        method(f"(defmethod f {qualifiers} ((a Net)) a)")
