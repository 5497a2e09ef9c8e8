"""A name of a file is a literal of the language it is pasted into, and nothing in the other."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from caten_sd.state.quoting import (
    is_shell_word,
    python_literal,
    root_choice,
    shell_option,
    shell_path,
    shell_word,
)
from tests.hostile_texts import TEXTS

NAMES = ["model", "", "a b", "-x", "it's", "!!", "ä\udcff", "\\'", "\\\\'"]
NAMES += [text for name, text in TEXTS.items() if name not in ("surrogate", "nul", "long")]
texts = st.text(st.characters(codec=None)) | st.text("'\"\\$`\n#;! a", max_size=12)


@given(texts)
@example("\\'")
def test_a_python_literal_is_the_text(text: str) -> None:
    literal = python_literal(text)
    assert literal.isprintable()
    assert ast.literal_eval(literal) == text


@given(texts)
def test_words_for_a_shell_print(text: str) -> None:
    if is_shell_word(text):
        assert shell_word(text).isprintable()


def in_shell(shell: str, line: str, folder: Path) -> bytes:
    done = subprocess.run([shell, "-c", line], cwd=folder, capture_output=True, timeout=60)
    return done.stdout


def test_a_shell_word_is_the_text(tmp_path: Path) -> None:
    line = "".join(f"printf '%s\\0' {shell_word(name)}; " for name in NAMES)
    printed = in_shell("bash", line, tmp_path)
    expected = [name.encode("utf-8", "surrogateescape") for name in NAMES]
    assert printed.split(b"\0")[:-1] == expected
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_no_literal_runs_anything_in_a_shell(shell: str, tmp_path: Path) -> None:
    quoted = [f(name) for f in (python_literal, shell_word, root_choice) for name in NAMES]
    in_shell(shell, "\n".join(f"true {each}" for each in quoted), tmp_path)
    assert not any(tmp_path.iterdir())


def test_no_literal_runs_anything_in_python(tmp_path: Path) -> None:
    quoted = [f(name) for f in (python_literal, shell_word, root_choice) for name in NAMES]
    program = f"""for line in {quoted!r}:
    try: exec("f(" + line + ")", {{"f": lambda *a, **k: None}})
    except (SyntaxError, NameError, TypeError): pass
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=60)
    assert not any(tmp_path.iterdir())


def test_a_hyphen_at_the_beginning_is_not_an_option() -> None:
    assert shell_option("--root", "-x") == "--root=-x"
    assert shell_path("-rf") == "./-rf"


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_what_no_argument_can_hold_is_not_offered_to_a_shell(name: str) -> None:
    assert not is_shell_word(name)
    assert "--root" not in root_choice(name)


def test_a_name_that_has_no_room_is_not_cut_to_another_name() -> None:
    assert "xx" not in root_choice("x" * 5_000)
