"""A text that a command writes and somebody may edit: what was edited is not replaced unasked."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from caten_sd.errors import CatenError
from caten_sd.files.atomic import replacing
from caten_sd.files.written_mark import is_as_written


def output_arguments(
    parser: argparse.ArgumentParser, metavar: str, text: str, path: Callable[[str], Path] = Path
) -> None:
    """Let a command take ``-o FILE`` and ``--force``."""
    parser.add_argument("-o", "--output", metavar=metavar, type=path, help=text)
    parser.add_argument("--force", action="store_true", help="replace a file of yours, too")


def refuse_to_replace(options: argparse.Namespace) -> None:
    """Raise CatenError for an output that no command wrote, or that was changed since."""
    path = options.output
    if path is None or options.force:
        return
    try:
        is_edited = path.is_file() and path.stat().st_size and not is_as_written(path)
    except OSError:
        return  # writing it says why
    if is_edited:
        raise CatenError(
            f"{path} is not as caten-sd wrote it, and what was changed there would be lost; "
            f"choose another path, or pass --force"
        )


def write(path: Path, text: str) -> None:
    """Write a text to a file, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode())
