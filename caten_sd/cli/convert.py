"""``caten-sd convert IN OUT``: write another format, layout or dtype, and verify it."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from caten_sd.cli import DIFFERS, FINE, say, say_sheet
from caten_sd.cli.arguments import FROM, LAYOUT, NUMBER, numbers_of, parser_of, sides
from caten_sd.cli.file_or_model import file_or_model, is_model
from caten_sd.errors import CatenError
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.files.conversion import Estimate, convert
from caten_sd.wording import bytes_text, counted

SUMMARY = "write a checkpoint in another format, layout or dtype"
STEPS = (
    "The order of the steps: --root, --lora, --to, --only and --except, --rename, --dtype; each "
    "sees the keys that the one before it gives."
)


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("convert", SUMMARY, "source", "IN")
    parser.epilog = STEPS
    parser.add_argument(
        "target", metavar="OUT", help="the suffix names the format; DIR/ is a folder"
    )
    parser.add_argument("--to", metavar="LAYOUT", help=f"rename and transform to {LAYOUT}")
    parser.add_argument("--from", dest="from_layout", metavar="LAYOUT", help=FROM)
    parser.add_argument(
        "--prefix",
        metavar="TEXT",
        help="what keys begin with: one of the prefixes of the layout of --to, as '' for none",
    )
    _add_repeatable(parser)
    parser.add_argument(
        "--max-shard-size", metavar="SIZE", help="write shards of at most this size, as in 5GB"
    )
    parser.add_argument(
        "--ranks",
        type=int,
        metavar="N",
        help="write the files of N ranks, each a part of every tensor",
    )
    parser.add_argument(
        "--digests", action="store_true", help="store digests for caten-sd digest --check"
    )
    parser.add_argument("--json", action="store_true", help="print the result for programs")
    return parser


def _add_repeatable(parser: argparse.ArgumentParser) -> None:
    """Add the options that may be repeated."""
    for flag, metavar, text in (
        (
            "--lora",
            "ADAPTER",
            "a LoRA or DoRA adapter (peft, diffusers, kohya, LyCORIS) to add to the weights",
        ),
        (
            "--against",
            "MODEL",
            "the model to write for, of any framework; with --to, whose names kohya joins by '_'",
        ),
        ("--number", NUMBER, "a number that a layout needs and no file states, as n_head=12"),
        ("--only", "PATTERN", "write only the keys that match, as in 'h.*'"),
        ("--except", "PATTERN", "leave out the keys that match"),
        ("--rename", "OLD=NEW", "new beginnings of keys, as in 'h.*.attn=l.*.mixer'"),
        (
            "--dtype",
            "[PATTERN=]DTYPE",
            "the dtype of floats (f32, bf16, ...), or of those whose keys match",
        ),
        ("--metadata", "KEY=VALUE", "text to add to the metadata"),
    ):
        dest = {"--except": "exclude"}.get(flag, flag[2:])
        parser.add_argument(
            flag,
            dest=dest,
            action="append",
            default=[],
            metavar=metavar,
            help=f"{text}; repeatable",
        )


def run(words: Sequence[str]) -> int:
    """Convert the checkpoint, and print what was written."""
    options = _parser().parse_args(words)
    writer: dict[str, Any] = {"digests": True} if options.digests else {}
    if options.max_shard_size:
        writer["max_shard_size"] = options.max_shard_size
    if options.ranks is not None:
        writer.update(format="ranks", ranks=options.ranks)
    with _progress_bar() as progress:
        done = convert(
            options.source,
            options.target,
            **_layouts(options),
            prefix=options.prefix,
            numbers=_numbers(options.number),
            only=options.only,
            exclude=options.exclude,
            rename=_renames(options.rename) or None,
            dtype=_dtypes(options.dtype),
            metadata=sides("--metadata", "KEY=VALUE", options.metadata),
            root=options.root,
            lora=options.lora,
            announce=None if options.json else _announce,
            progress=progress,
            **writer,
        )
    say_sheet(done, as_json=options.json)
    return DIFFERS if done.findings and done.findings.complaint else FINE


def _layouts(options: argparse.Namespace) -> dict[str, Any]:
    """Return the layouts of the conversion: without --to, that between the file and the model.

    --from is the framework that the file is of, then.
    """
    models: list[str] = options.against
    if options.to is None and len(models) == 1 and is_model(models[0]):
        from caten_sd.cli.models import build  # all layouts come with it
        from caten_sd.loading.between import between

        with read_state_dict(options.source, root=options.root) as file:
            return {"layout": between(file, build(models[0]), world=options.from_layout)}
    keys = _keys_of(models) if models else None
    return {"layout": options.to, "from_layout": options.from_layout, "against": keys}


def _keys_of(models: Sequence[str]) -> list[str]:
    """Return the keys of all models; of files, only headers are read."""
    found: list[str] = []
    for model in models:
        with file_or_model(model, None) as state:
            found += state
    return found


def _numbers(texts: Sequence[str]) -> dict[str, int]:
    if not texts:
        return {}
    from caten_sd.mapping.layout_plan import plan_layout  # all layouts come with it

    return numbers_of(texts, plan_layout)


def _announce(need: Estimate) -> None:
    say(
        f"to write: {counted(need.tensors, 'tensor')}, {bytes_text(need.size)}; "
        f"memory needed: at most about {bytes_text(need.memory)}"
    )


def _renames(texts: Sequence[str]) -> dict[str, str]:
    for text in texts:
        if text.count("=") > 1:
            raise CatenError(
                f"--rename {text!r} has more than one =, and which of them is between the two keys "
                f"cannot be told; rename keys with an = in Python, as convert(..., rename={{...}})"
            )
    return sides("--rename", "OLD=NEW", texts)


def _dtypes(texts: Sequence[str]) -> dict[str, str] | None:
    """Return the dtype of each pattern; the one of all keys is last, since the first applies."""
    found: dict[str, str] = {}
    for text in texts:
        pattern, sign, dtype = text.rpartition("=")
        if sign and not pattern:
            raise CatenError(f"--dtype {text!r} has no pattern; write it as in '*norm*=f32'")
        pattern = pattern or "*"
        if pattern in found:
            raise CatenError(
                f"--dtype gives {pattern!r} twice, {found[pattern]!r} and {dtype!r}; leave one out"
            )
        found[pattern] = dtype
    if "*" in found:
        found["*"] = found.pop("*")
    return found or None


@contextlib.contextmanager
def _progress_bar() -> Iterator[Callable[[int, int], Any] | None]:
    """Yield a function that draws the bytes written, or None if no terminal is there to see."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("writing")
        yield lambda done, total: bar.update(task, completed=done, total=total)
