from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.source_text import lisp_source


def test_a_text_is_told_from_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("(net).lisp").write_text("(defmodel (A ()) ())")
    for path in ("(net).lisp", Path("(net).lisp")):
        assert lisp_source(path).name == "(net).lisp"
    for text in ("(defmodel (A ()) ())", "; a comment", " #| one |# ()", "a\nb", "#+x a"):
        assert lisp_source(text).name == "text"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.lisp"
    path.write_bytes(data)
    message = ""
    try:
        lisp_source(path)
    except LispError as error:
        message = str(error)
    assert "\n" not in message
    assert not message or message.startswith(f"{path}:")


def test_a_pipe_is_refused_since_it_may_never_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "net.lisp")
    with pytest.raises(LispError, match="a pipe"):
        lisp_source(tmp_path / "net.lisp")


@pytest.mark.parametrize("wrong", [None, 3, b"(a)"])
def test_what_is_not_a_path_or_a_text_is_refused(wrong: Any) -> None:
    with pytest.raises(LispError, match="pass a path or a text"):
        lisp_source(wrong)
