from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from caten_sd.errors import LispError
from caten_sd.lisp.lisp_file import read_lisp

TEXT = """(in-package :net)
(defstruct point x)
(defmodel (Net (n)) ((w (rand (list n)))))
(defsequence Chain () (Linear 1 1))
(setf x 3)
(setf y 3)
"""


def test_what_a_file_has(tmp_path: Path) -> None:
    path = tmp_path / "net.lisp"
    path.write_text(TEXT, encoding="utf-8-sig")
    for file in (read_lisp(path), read_lisp(str(path)), read_lisp(TEXT)):
        assert file.models == ("Net", "Chain")
        assert "3 forms" in file.note
        assert "2 setf" in file.note
        assert "Net, Chain" in repr(file)
    assert read_lisp(path).source == str(path)
    assert read_lisp("(defmodel (A ()) ())").note == ""


def test_build_takes_a_call_a_name_or_nothing() -> None:
    assert read_lisp(TEXT).build("(Net 3)").w.shape == (3,)
    assert len(read_lisp(TEXT).build("chain")) == 1
    assert read_lisp("(defmodel (A ()) ())").build("") is not None
    assert read_lisp(TEXT).build("(let ((n 2)) (Net n))").w.shape == (2,)
    assert read_lisp(";").build("(Linear 3 2)").weight.shape == (2, 3)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("", "2 models.*text:.Net"),
        ("Nett", "'Nett'.*did you mean Net.*Net, Chain"),
        ("point", "text:2:1: point is not a model"),
        ("(Net)", "text, call:1:1: n of Net is missing"),
        ("(Net 1) 2", "2 forms"),
        ("(list)", "nil, which is not a model"),
        ("(rand '(2))", "not a model"),
        ("(Net", "never closed"),
    ],
)
def test_refusals(call: str, said: str) -> None:
    with pytest.raises(LispError, match=said):
        read_lisp(TEXT).build(call)


@pytest.mark.parametrize(
    ("call", "written"),
    [
        ("Net(16, -1e-5)", "(Net 16 -1e-5)"),
        ("net 3 4", "(Net 3 4)"),
        ("Net(", "(Net n)"),
        ("Net(n=3)", "(Net n)"),
        ("Net('a b')", "(Net n)"),
        ("Net", "'text:(Net n)'"),
    ],
)
def test_a_call_that_is_not_in_lisp_is_shown_in_lisp(call: str, written: str) -> None:
    with pytest.raises(LispError) as caught:
        read_lisp(TEXT).build(call)
    assert written in str(caught.value)


def test_one_model_that_needs_arguments_is_shown_with_them(tmp_path: Path) -> None:
    path = tmp_path / "it's.lisp"
    path.write_text("(defmodel (Net (n &key bias)) ((w (rand (list n)))))")
    with pytest.raises(LispError, match=r"(?s):1:1: .*\(n &key bias\)") as caught:
        read_lisp(path).build("")
    (word,) = re.findall(r"\$'.*'", str(caught.value))
    said = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)
    assert said.stdout.decode() == f"{path}:(Net n)"


@pytest.mark.parametrize(
    ("name", "barred"),
    [("|my net|", "|my net|"), ("my net", "|my net|"), ("Net", "|Net|"), ("a|b", r"|a\|b|")],
)
def test_a_name_between_bars_is_built_by_name_and_as_shown(name: str, barred: str) -> None:
    assert len(read_lisp(f"(defsequence {barred} ())").build("")) == 0
    file = read_lisp(f"(defsequence {barred} ())")
    assert len(file.build(name)) == len(file.build(f"({barred})")) == 0
    needs = read_lisp(f"(defsequence {barred} (n))")
    with pytest.raises(LispError, match="none is given") as caught:
        needs.build(name)
    assert (
        len(needs.build(str(caught.value).split("text:")[-1].strip("'").replace("n)", "1)"))) == 0
    )


def test_a_name_that_no_model_has_is_refused() -> None:
    with pytest.raises(LispError, match="did you mean Net"):
        read_lisp(TEXT).model("Nat")
    with pytest.raises(LispError, match="no model"):
        read_lisp(";").build("")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(LispError, match=r"no\.lisp: .*No such file"):
        read_lisp(tmp_path / "no.lisp")
    with pytest.raises(LispError, match="directory"):
        read_lisp(tmp_path)
    (tmp_path / "latin.lisp").write_bytes(b"; one\n; \xe9\n")
    with pytest.raises(LispError, match=r"latin\.lisp:2:1: .*UTF-8"):
        read_lisp(tmp_path / "latin.lisp")
    with pytest.raises(LispError, match="cannot be read"):
        read_lisp("\0")


def test_reading_does_not_import_torch() -> None:
    program = (
        "import sys; from caten_sd import read_lisp; "
        "print(read_lisp('(defmodel (A ()) ((w (Linear 1 1))))').models, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["('A',)", "False"]
