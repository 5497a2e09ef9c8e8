from __future__ import annotations

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
