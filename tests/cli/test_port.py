"""``caten-sd port``."""

from __future__ import annotations

from pathlib import Path

import pytest

from caten_sd.cli import main
from caten_sd.lisp.port.ported_module import port

NET = "(defmodel (Net (n)) ((fc (Linear n 2))))\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.lisp"
    path.write_text(NET)
    return path


def test_it_writes_what_port_gives(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["port", str(file), "-o", str(file.with_suffix(".py"))]) == 0
    assert file.with_suffix(".py").read_text() == port(file).text
    assert main(["port", str(file)]) == 0
    assert capsys.readouterr().out == port(file).text


def test_what_is_not_translated_is_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(NET + "(defcall (self Net) (X[~]) (!batch-norm x 3))")
    target = file.with_suffix(".py")
    assert main(["port", str(file), "-o", str(target)]) == 1
    said = capsys.readouterr()
    assert f"{file}:2:" in said.err
    assert "!batch-norm" in said.err
    assert "class Net(Module)" in target.read_text()


@pytest.mark.parametrize("before", ["x = 1\n", "# Written by caten-sd port\n", "\0\xff"])
def test_a_file_of_somebody_else_is_not_replaced(
    file: Path, capsys: pytest.CaptureFixture[str], before: str
) -> None:
    target = file.with_suffix(".py")
    target.write_text(before)
    assert main(["port", str(file), "-o", str(target)]) == 2
    assert "--force" in capsys.readouterr().err
    assert target.read_text() == before
    assert main(["port", str(file), "-o", str(target), "--force"]) == 0
    assert target.read_text() == port(file).text


def test_what_port_wrote_is_replaced_until_it_is_edited(file: Path) -> None:
    target = file.with_suffix(".py")
    for text in (NET, NET.replace("2", "3"), NET.replace("2", "3")):
        file.write_text(text)
        assert main(["port", str(file), "-o", str(target)]) == 0
    target.write_bytes(target.read_bytes().replace(b"\n", b"\r\n"))  # as on Windows
    assert main(["port", str(file), "-o", str(target)]) == 0
    edited = target.read_text() + "EDITED = True\n"
    target.write_text(edited)
    assert main(["port", str(file), "-o", str(target)]) == 2
    assert target.read_text() == edited


def test_a_refusal_writes_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = file.with_suffix(".py")
    target.write_text("kept\n")
    file.write_text("(defmodel (Net (n)) ((fc (Linear n 2)))")
    assert main(["port", str(file), "-o", str(target)]) == 2
    assert main(["port", str(file.with_name("no.lisp")), "-o", str(target)]) == 2
    assert capsys.readouterr().err.count("caten-sd: ") == 2
    assert target.read_text() == "kept\n"
    assert {each.name for each in file.parent.iterdir()} == {"net.lisp", "net.py"}


def test_a_folder_is_not_a_target(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["port", str(file), "-o", str(file.parent)]) == 2
    assert "choose another path" in capsys.readouterr().err
