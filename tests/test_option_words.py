"""A sentence that names an option names it for both: for Python, and for the command line."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

import caten_sd

IN_BOTH = {  # the options of Python that the command line has, and what it calls them
    "against": "--against",
    "digests": "--digests",
    "dtype": "--dtype",
    "exclude": "--except",
    "from_layout": "--from",
    "inputs": "--inputs",
    "layout": "--to|--layout",
    "lora": "--lora",
    "max_shard_size": "--max-shard-size",
    "names": "in Python",
    "numbers": "--number",
    "only": "--only",
    "prefix": "--prefix",
    "rename": "--rename",
    "root": "--root",
    "seed": "--seed",
    "tolerance": "--tolerance",
    "world": "--from",
}
OF_PYTHON = {  # modules whose sentences no command shows
    "adapters",
    "lisp",
    "testing",
    "training",
}


@functools.cache
def sentences() -> list[tuple[str, str]]:
    """Return the texts that are long enough to be of a sentence, with their modules."""
    found: list[tuple[str, str]] = []
    root = Path(caten_sd.__file__).parent
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        source = path.read_text()
        if name.parts[0] in OF_PYTHON or not re.search(r"[a-z_]=[ ,{'\"]|--[a-z]", source):
            continue
        tree = ast.parse(source)
        parts = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, (ast.JoinedStr, ast.Expr))
            for part in (node.values if isinstance(node, ast.JoinedStr) else [node.value])
        }
        for node in ast.walk(tree):
            text = _text(node)
            if text.count(" ") > 3 and id(node) not in parts and "(state_dict" not in text:
                found.append((str(name), text))
    return found


def _text(node: ast.AST) -> str:
    values = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(
        each.value if isinstance(each, ast.Constant) and isinstance(each.value, str) else "{}"
        for each in values
    )


@pytest.mark.slow
def test_a_sentence_with_an_option_of_python_has_that_of_the_command_line() -> None:
    assert len(sentences()) > 100
    alone = [
        (module, option, text)
        for module, text in sentences()
        for option, flag in IN_BOTH.items()
        if re.search(rf"(?<![\w-]){option}=(?!\w+\()", text) and not re.search(flag, text)
    ]
    assert alone == []


@pytest.mark.slow
def test_a_sentence_with_an_option_of_the_command_line_has_that_of_python() -> None:
    python = r"[a-z_]=|to_floats|to_dict|\.fix|in Python|caten-sd "
    alone = [
        (module, text)
        for module, text in sentences()
        if not module.startswith("cli")
        and re.search(r"(?<![\w-])--[a-z]", text)
        and not re.search(python, text)
    ]
    assert alone == []
