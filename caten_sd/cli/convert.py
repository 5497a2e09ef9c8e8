"""``caten-sd convert IN OUT``: another format, layout or dtype, streamed and read back."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from caten_sd.cli.arguments import parser_of
from caten_sd.cli.text import bytes_text
from caten_sd.errors import CatenError
from caten_sd.files.conversion import Estimate, convert
from caten_sd.wording import counted


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("convert", "source", "IN")
    parser.add_argument("target", metavar="OUT", help="its suffix names the format; DIR/ a folder")
    parser.add_argument("--to", metavar="LAYOUT", help="rename and turn the tensors as it says")
    parser.add_argument("--dtype", help="what floats become: f32, bf16, f16, ...")
    parser.add_argument(
        "--keep", action="append", default=[], metavar="PATTERN=DTYPE", help="an exception to it"
    )
    parser.add_argument(
        "--max-shard-size", metavar="SIZE", help="split into shards of at most this, as in 5GB"
    )
    parser.add_argument(
        "--digests", action="store_true", help="store what caten-sd digest --verify compares with"
    )
    parser.add_argument("--json", action="store_true", help="the result, for programs")
    return parser


def run(words: Sequence[str]) -> int:
    """Convert, and print what was done."""
    options = _parser().parse_args(words)
    writer: dict[str, Any] = {"digests": True} if options.digests else {}
    if options.max_shard_size:
        writer["max_shard_size"] = options.max_shard_size
    with _progress_bar() as progress:
        done = convert(
            options.source,
            options.target,
            to=options.to,
            dtype=options.dtype,
            keep=dict(map(_exception, options.keep)),
            root=options.root,
            announce=None if options.json else _announce,
            progress=progress,
            **writer,
        )
    print(json.dumps(done.to_dict(), indent=1) if options.json else done)
    return 0


def _announce(need: Estimate) -> None:
    print(
        f"to write: {counted(need.tensors, 'tensor')}, {bytes_text(need.size)}; "
        f"memory needed at most about {bytes_text(need.memory)}"
    )


def _exception(text: str) -> tuple[str, str]:
    pattern, _, dtype = text.rpartition("=")
    if not pattern:
        raise CatenError(f"--keep {text!r} is no PATTERN=DTYPE; write it as in '*norm*=f32'")
    return pattern, dtype


@contextlib.contextmanager
def _progress_bar() -> Iterator[Callable[[int, int], Any] | None]:
    """Yield what draws the bytes written, on a terminal; None elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("writing")
        yield lambda done, total: bar.update(task, completed=done, total=total)
