from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import LispError
from caten_sd.lisp.source_text import lisp_source


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
