"""The arguments that all commands share: a checkpoint, and which of its trees to take."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from caten_sd.errors import CatenError
from caten_sd.errors.printable import one_line

CHECKPOINT = "a file, a folder, an index of shards, or a member of an archive, as in a.tar::w.pt"
MODEL = (
    "a callable that builds a model, as package.module:build or 'package.module:Model(32, "
    "depth=2)', or a call in Lisp, as 'layers.lisp:(Transformer 32 2 2 1e-5 32)'"
)
LAYOUT = (
    "a layout by its name, as hf-gpt2, by its TOML file, as mine.toml, or by its code, as "
    "mine.py:LAYOUT or a.module:LAYOUT"
)
_MOST_DIGITS = 18  # of a number that fits into 64 bits
FROM = "the layout that the file is in, where it cannot be told or is not matched in full"
NUMBER = "NAME=NUMBER"
ROOT = "take only what is under this name: one of the trees in a file, or a prefix of keys"


class Parser(argparse.ArgumentParser):
    """A parser whose errors quote words of the command line, which may be names of files."""

    def error(self, message: str) -> NoReturn:
        """End the program with the usage and the message."""
        super().error(one_line(message))


def bare_parser(command: str, summary: str) -> Parser:
    """Return the parser of a command, without arguments."""
    return Parser(f"caten-sd {command}", description=f"{summary[:1].upper()}{summary[1:]}.")


def parser_of(
    command: str, summary: str, name: str = "file", metavar: str = "FILE", text: str = CHECKPOINT
) -> Parser:
    """Return the parser of a command, with its first argument, a checkpoint, and ``--root``."""
    parser = bare_parser(command, summary)
    parser.add_argument(name, metavar=metavar, help=text)
    parser.add_argument("--root", metavar="NAME", help=ROOT)
    return parser


def sides(option: str, form: str, texts: Sequence[str]) -> dict[str, str]:
    """Return what is left and right of the first "=" of each text; no left side comes twice."""
    found: dict[str, str] = {}
    for text in texts:
        left, sign, right = text.partition("=")
        if not sign:
            raise CatenError(f"{option} {text!r} is not {form}; write the two sides around an =")
        if left in found:
            raise CatenError(
                f"{option} gives {left!r} twice, {found[left]!r} and {right!r}; leave one out"
            )
        found[left] = right
    return found


def numbers_of(texts: Sequence[str], verb: Callable[..., Any]) -> dict[str, int]:
    """Return the numbers of ``--number``, which are keywords of a verb besides its own ones."""
    found = sides("--number", NUMBER, texts)
    for name, number in found.items():
        digits = number.isascii() and number.isdecimal() and len(number) <= _MOST_DIGITS
        if not name.isidentifier() or not digits:
            text = f"{name}={number}"
            raise CatenError(f"--number {text!r:.60} is not {NUMBER}; write it as in n_head=12")
        if name in inspect.signature(verb).parameters:
            raise CatenError(
                f"--number names {name!r}, which is not a number of a model; leave it out"
            )
    return {name: int(number) for name, number in found.items()}
