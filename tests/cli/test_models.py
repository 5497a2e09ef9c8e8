from __future__ import annotations

import string
import sys
from pathlib import Path
from typing import Any

import pytest

from caten_sd.cli.file_or_model import is_model
from caten_sd.cli.models import build, python_of, state_of
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


MODELS = """
from torch import nn
NET, EMPTY = nn.Linear(2, 3), None
class Model(nn.Module):
    def __init__(self, width: int, depth=2, *, heads):
        super().__init__()
def build_small(): return NET
def nothing(): NET
def fails(): raise RuntimeError("no device")
def misses(): return NET.nothing_like_it
"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "our_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("module", ["our_models.py", "our_models"])
@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("Modell", "has no Modell; .*Model"),
        ("build_smal()", "has no build_smal; .*build_small"),
        ("BUILD_SMALL", "build_small"),
        ("zzz", "has no zzz; .*Model, build_small, fails"),
        ("nn.Liner(2, 3)", "nn has no Liner; .*Linear"),
        ("NET.nope", "NET has no nope"),
        ("build_small.nope", "build_small has no nope; correct"),
        ("Model", r"'width'; it takes \(width, depth=2, \*, heads\)"),
        ("Model(2)", r"'heads'; it takes \(width, depth=2, \*, heads\)"),
        ("Model(2, heads=1, widht=3)", r"'widht'; it takes \(width, depth=2, \*, heads\)"),
        ("build_small(1)", "no arguments, so leave them out"),
        ("Model(width)", "is not a call with literals; write"),
        ("Model(**{'width': 1})", "is not a call with literals; write"),
        ("Model(", "is not a call with literals; write"),
        ("", "names a module alone; name one of its callables after a colon, such as "),
        ("nothing", "nothing returns None; let it return one"),
        ("EMPTY", "EMPTY is None"),
        ("nn", "nn is a module; name a callable in it"),
        ("fails", r"fails \(RuntimeError: no device\); mend it"),
        ("misses()", r"misses fails \(AttributeError: .*nothing_like_it'\); mend it"),
    ],
)
def test_a_name_that_gives_no_model_is_told_with_what_is_near(
    module: str, call: str, words: str
) -> None:
    with pytest.raises(CatenError, match=words) as caught:
        build(f"{module}:{call}")
    text = str(caught.value)
    assert text.startswith(f"{module}:{call} does not build a model: ")
    assert "\n" not in text
    assert " at /" not in text


@pytest.mark.usefixtures("models")
def test_a_model_that_is_there_is_not_called() -> None:
    net = build("our_models.py:NET")
    assert list(state_of("our_models.py:NET", net)) == ["weight", "bias"]
    assert "()" not in python_of("our_models.py:NET", net)


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("call", ["NET", "NET.weight", "build_small", "build_small()", "nn.GELU()"])
def test_the_statement_for_a_file_gives_its_model(call: str) -> None:
    built = build(f"our_models.py:{call}")
    names: dict[str, Any] = {}
    exec(python_of(f"our_models.py:{call}", built), names)
    assert repr(names["model"])[:9] == repr(built)[:9]


def test_the_statement_that_builds_a_model() -> None:
    known = python_of("string:ascii_letters", string.ascii_letters)
    assert known == "import string; model = string.ascii_letters"
    for text in ("caten_sd.nn:ReLU", "caten_sd.nn:ReLU()"):
        assert python_of(text, build(text)) == "import caten_sd.nn; model = caten_sd.nn.ReLU()"
    lisp = python_of("my net.lisp:(Net 3)", None)
    assert lisp.replace('"', "'") == "model = read_lisp('my net.lisp').build('(Net 3)')"


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


@pytest.mark.parametrize("world", ["jax", "mlx"])
def test_a_model_of_a_framework_that_is_not_there_comes_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: str
) -> None:
    (tmp_path / "mine.py").write_text(f"import {world}\n")
    monkeypatch.setitem(sys.modules, world, None)
    with pytest.raises(CatenError, match=rf"; pip install 'caten-sd\[{world}\]'$"):
        build(f"{tmp_path}/mine.py:build")
