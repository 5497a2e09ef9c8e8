"""``-o FILE.toml``: the file that a command writes a layout to."""

from __future__ import annotations

import argparse
from pathlib import Path

from caten_sd.cli import say_to_stderr
from caten_sd.errors import LayoutError
from caten_sd.files.atomic import replacing
from caten_sd.mapping.layout import Layout


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the option, whose path is refused if a file that is not a layout would be lost."""
    parser.add_argument(
        "-o", "--output", metavar="FILE.toml", type=_path, help="write the layout to this file"
    )


def layout_name(output: Path | None) -> str:
    """Return the name of the layout, which is that of its file."""
    return output.stem if output else "mine"


def write_layout(output: Path | None, text: str) -> None:
    """Write the text of a layout, if a file is asked for; if there is no text, say so."""
    if output and text:
        with replacing(output) as file:
            file.write(text.encode())
    elif output:
        say_to_stderr(f"no layout was found, so nothing is written to {output}")


def _path(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".toml":
        raise argparse.ArgumentTypeError(
            f"{text!r} does not end in .toml, as files of layouts do; write it as in mine.toml"
        )
    if path.exists():
        try:
            Layout.from_toml(path)
        except (LayoutError, OSError):
            raise argparse.ArgumentTypeError(
                f"{text!r} is there and is not a layout, and would be lost; choose another path"
            ) from None
    return path
