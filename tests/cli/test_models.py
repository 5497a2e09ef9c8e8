from __future__ import annotations

import sys
from pathlib import Path

import pytest

from caten_sd.cli.models import build, is_model, state_of
from caten_sd.errors import CatenError
from tests.cli.running import TRANSFORMER


def test_a_model_is_told_from_a_file_and_a_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a:b").write_text("a file")
    assert is_model(TRANSFORMER)
    for text in ("hf-gpt2", "w.pt", "a:b", "a.tar::w.pt", "dir/x:y"):
        assert not is_model(text), text


def test_a_module_of_the_current_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_model_file.py").write_text(
        "class Nest:\n    Net = staticmethod(lambda size, bias=1: {'w': size, 'b': bias})\n"
        "NET = {'w': 3}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert build("my_model_file:Nest.Net(2, bias=[4])") == {"w": 2, "b": [4]}
    assert build("my_model_file:NET") == {"w": 3}


@pytest.mark.parametrize(
    "text", ["json:no_such", "json:loads(__import__('os'))", "json:loads(", "json:loads('{')"]
)
def test_what_builds_no_model_is_named(text: str) -> None:
    with pytest.raises(CatenError, match="does not build a model") as caught:
        build(text)
    assert str(caught.value).startswith(text)


def test_an_error_of_our_own_is_not_wrapped() -> None:
    with pytest.raises(CatenError, match=r"^Attention: 5 heads do not divide dim 32"):
        build("caten_sd.nn:Transformer(32, 5, 2, 1e-5, 32)")


def test_a_model_without_state_is_refused() -> None:
    with pytest.raises(CatenError, match=r"torch\.nn:ReLU has no state"):
        state_of("torch.nn:ReLU", build("torch.nn:ReLU"))
    model = build("torch.nn:Linear(2, 3)")
    assert list(state_of("torch.nn:Linear(2, 3)", model)) == ["weight", "bias"]


def test_the_current_folder_is_searched_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["first"])
    with pytest.raises(CatenError):
        build("absent_module:build")
    assert sys.path == ["first", str(tmp_path)]
