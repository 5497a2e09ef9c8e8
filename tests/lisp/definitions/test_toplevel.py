from __future__ import annotations

import time

import pytest

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.definition import (
    CallDefinition,
    ClassDefinition,
    FunctionDefinition,
    MethodDefinition,
    ModelDefinition,
    ModuleDefinition,
    SequenceDefinition,
    SkippedForm,
    VariableDefinition,
)
from caten_sd.lisp.definitions.toplevel import definitions
from caten_sd.lisp.lisp_file import read_lisp
from caten_sd.lisp.syntax.reader import read_data

FILE = """(in-package :net)
(defparameter *x* 3 "doc")
(defvar *y*)
(defmodel (Net (n) :where "A[~] -> A[~]" :documentation " A net. ")
    ((a (Linear n n) :type linear :reader net-a) (ret)) (setf x 3))
(eval-when (:execute) (progn (defun f (x) "doc" (declare (ignore x)) x)))
(defclass Sub (Net) ((q :initform 3 :initarg :q) plain) (:documentation "Sub."))
(defsequence Chain (n) (Linear n n))
(defcall (m Net) (X[Batch N] Y[]) "runs" (forward a x))
(defmethod call :before ((m Net) &rest inputs) (car inputs))
(defmodule (Conv ((n) :n n) :where "") ((w :initform nil :accessor w-of)) :impl f)
(deftest foo 3)
5
"""


def test_each_definition() -> None:
    found = list(definitions(read_data(FILE, "net.lisp")))
    kinds = [type(each) for each in found]
    assert kinds == [
        VariableDefinition,
        VariableDefinition,
        ModelDefinition,
        FunctionDefinition,
        ClassDefinition,
        SequenceDefinition,
        CallDefinition,
        MethodDefinition,
        ModuleDefinition,
        SkippedForm,
        SkippedForm,
    ]
    model, function, sub, call, method = (found[at] for at in (2, 3, 4, 6, 7))
    assert (model.documentation, model.where) == ("A net.", "A[~] -> A[~]")
    assert [str(each.name) for each in model.slots] == ["a", "ret"]
    assert [str(each) for each in model.slots[0].readers] == ["net-a"]
    assert model.slots[1].form is None
    assert len(model.body) == len(function.body) == 1
    assert [str(each.name) for each in sub.slots] == ["q", "plain"]
    assert sub.documentation == "Sub."
    assert [str(each) for each in call.shapes] == ["X[Batch", "N]", "Y[]"]
    assert call.documentation == "runs"
    assert [str(each) for each in method.qualifiers] == [":before"]
    assert str(method.arguments.arguments[0].specializer) == "Net"
    assert str(found[0].place) == "net.lisp:2:1"
    assert found[-2].name == "FOO"


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("(defmodel)", "1:1", r"\(Name \(arguments\)\)"),
        ("(defmodel (A) ())", "1:1", r"\(Name \(arguments\)\)"),
        ("(defmodel A ())", "1:1", r"\(Name \(arguments\)\)"),
        ("(defmodel (A ()))", "1:1", "no list of slots"),
        ("(defmodel (3 ()) ())", "1:12", "name of a model"),
        ("(defmodel (A () :foo 3) ())", "1:1", ":foo"),
        ("(defmodel (A () :where) ())", "1:17", "option with a value"),
        ("(defmodel (A (3)) ())", "1:15", "3 is not the name"),
        ("(defmodel (A (a a)) ())", "1:17", "twice"),
        ("(defmodel (A (&key (b 3 b-p))) ())", "1:21", "two names"),
        ("(defmodel (A (&key ((:c b) 3))) ())", "1:25", "two names"),
        ("(defmodel (A (&whole x)) ())", "1:15", "&whole"),
        ("(defmodel (A ()) 3)", "1:18", "list of slots"),
        ("(defmodel (A ()) (x))", "1:19", "slot x of A has no form in parentheses"),
        ("(defmodel (A ()) ((x :initform 3)))", "1:20", ":initform"),
        ("(defmodel (A ()) ((x 3 :initform 3)))", "1:20", ":initform"),
        ("(defmodel (A ()) ((x 3 :type)))", "1:24", ":type"),
        ("(defmodel (A ()) ((x 3) (x 4)))", "1:26", "x and x"),
        ("(defmodel (A ()) ((l-1 3) (l_1 4)))", "1:28", "l-1 and l_1.*'l_1'"),
        ("(defmodel (A ()) ((|| 3)))", "1:20", "rename"),
        ("(defmodel (A ()) ((:k 3)))", "1:20", ":k"),
        ("(defmodel (A (self) :slots ((w 3)) :on-call-> f))", "1:1", "cl-waffe2"),
        ("(defmodel (A (self n) :initargs (n)) (f))", "1:1", "cl-waffe2"),
        ("(defsequence A)", "1:1", "node"),
        ('(defsequence A () "doc" (Linear 1 1))', "1:19", "docstring"),
        ("(defcall (m) ())", "1:10", r"\(model Name\)"),
        ("(defcall m)", "1:1", r"\(model Name\)"),
        ("(defmodule (A ()) ())", "1:1", ":initform"),
    ],
)
def test_a_model_that_is_not_whole_is_refused(text: str, place: str, said: str) -> None:
    with pytest.raises(LispError, match=rf"^net\.lisp:{place}: .*{said}"):
        list(definitions(read_data(text, "net.lisp")))


@pytest.mark.parametrize(
    "text", ["(defun f)", "(defun 3 ())", "(defmethod (setf a) (x))", "(defvar)"]
)
def test_other_definitions_that_are_not_whole_are_skipped_with_the_reason(text: str) -> None:
    (skipped,) = definitions(read_data(text, "net.lisp"))
    assert isinstance(skipped, SkippedForm)
    assert skipped.why.startswith("net.lisp:1:")


@pytest.mark.parametrize(
    "text",
    [
        "(defmodel (Block (dim)) ((fc (Linear dim dim))))",
        "(defmodel (List (dim)) ((fc (Linear dim dim))))",
        "(defsequence Loop (n) (Linear n n))",
        "(defclass vector () ())",
        "(defun max (a b) a)",
        "(defmodule (Map ((n))) ((w :initform nil)))",
    ],
)
def test_a_name_of_common_lisp_is_refused_where_it_is_defined(text: str) -> None:
    with pytest.raises(LispError, match=r"^text:1:\d+: .*Common Lisp.*; rename"):
        read_lisp(text)


def test_a_body_of_many_declarations_is_read_in_time() -> None:
    text = f"(defun f () {'(declare) ' * 8_000}{'(x) ' * 8_000})"
    data = read_data(text)
    begin = time.process_time()
    (found,) = definitions(data)
    assert time.process_time() - begin < 1
    assert isinstance(found, FunctionDefinition)
    assert len(found.body) == 8_000
