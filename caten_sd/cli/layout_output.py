"""``-o FILE.toml``: the file that a command writes a layout to."""

from __future__ import annotations

import argparse
from pathlib import Path

from caten_sd.cli import say_to_stderr
from caten_sd.cli.edited_file import output_arguments, write
from caten_sd.files.written_mark import marked


def add_output(parser: argparse.ArgumentParser) -> None:
    """Let a command take ``-o FILE.toml`` and ``--force``."""
    output_arguments(parser, "FILE.toml", "write the layout to this file", _path)


def layout_name(output: Path | None) -> str:
    """Return the name of the layout, which is that of its file."""
    return output.stem if output else "mine"


def write_layout(output: Path | None, text: str, command: str) -> None:
    """Write the text of a layout, if a file is asked for; if there is no text, say so."""
    if output and text:
        write(output, marked(text, command))
    elif output:
        say_to_stderr(f"no layout was found, so nothing is written to {output}")


def _path(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".toml":
        raise argparse.ArgumentTypeError(
            f"{text!r} does not end in .toml, as files of layouts do; write it as in mine.toml"
        )
    return path
