"""What every command is asked with: a checkpoint, and which of its trees is meant."""

from __future__ import annotations

import argparse

from caten_sd.cli import COMMANDS

CHECKPOINT = "a file, a folder, an index of shards, or what lies in an archive, as a.tar::w.pt"
MODEL = "what builds a model, as in package.module:build or 'package.module:Model(32, depth=2)'"
ROOT = "take what lies below this name: the tree of a file that has several, or a prefix of keys"


def parser_of(
    command: str, name: str = "file", metavar: str = "FILE", text: str = CHECKPOINT
) -> argparse.ArgumentParser:
    """Return the parser of a command, with the checkpoint that it begins with and ``--root``."""
    what = COMMANDS[command]
    parser = argparse.ArgumentParser(f"caten-sd {command}", description=f"{what.capitalize()}.")
    parser.add_argument(name, metavar=metavar, help=text)
    parser.add_argument("--root", metavar="NAME", help=ROOT)
    return parser
