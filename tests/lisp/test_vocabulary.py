"""What the README says of the Lisp that is read is so."""

from __future__ import annotations

import re
from pathlib import Path

from caten_sd.lisp.classes.constructors import CONSTRUCTORS
from caten_sd.lisp.lisp_file import read_lisp
from caten_sd.lisp.vocabulary import FUNCTIONS, OPERATORS, SPECIAL_FORMS

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
OTHERS = {"DEFMODEL", "DEFSEQUENCE", "DEFCALL", "DEFMETHOD", "DEFUN", "DEFCLASS", "DEFPARAMETER"}
OTHERS |= {"DEFVAR", "DEFCONSTANT", "DEFMODULE", "ROPE"}


def test_the_readme_names_what_is_known() -> None:
    table = README.split("| of Lisp |")[1].split("\n\n")[0]
    named = {each.upper() for each in re.findall(r"`([^`]+)`", table)}
    models = {each.upper() for each in CONSTRUCTORS}
    known = {*SPECIAL_FORMS, *FUNCTIONS, *OPERATORS, *models, *OTHERS}
    assert len(named) > 40
    assert named - known == set()


def test_a_definition_that_is_not_known_is_counted() -> None:
    assert "1 deftest" in read_lisp("(defmodel (Net ()) ())\n(deftest x 1)").note
