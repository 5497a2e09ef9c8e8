"""``caten-sd explain A B``: the layout between two files of the same weights, from their values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from caten_sd.cli import DIFFERS, FINE, say_sheet, say_to_stderr
from caten_sd.cli.arguments import CHECKPOINT, NUMBER, bare_parser, numbers_of
from caten_sd.cli.file_or_model import file_or_model
from caten_sd.files.atomic import replacing
from caten_sd.proof.explanation import Explanation, explain

SUMMARY = "find the layout between two files of the same weights, from their values"


def run(words: Sequence[str]) -> int:
    """Print the rows and what is undecided, and write the layout; 1 if something is undecided."""
    parser = bare_parser("explain", SUMMARY)
    parser.add_argument("a", metavar="A", help=f"{CHECKPOINT}; its names are the canonical ones")
    parser.add_argument("b", metavar="B", help="another, or a model; the layout is that of B")
    parser.add_argument("-o", "--output", metavar="FILE.toml", help="write the layout to this file")
    parser.add_argument(
        "--number",
        action="append",
        default=[],
        metavar=NUMBER,
        help="a number of the model, as n_head=12, whose name the layout has instead; repeatable",
    )
    parser.add_argument("--all", action="store_true", help="a line for every row and key")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    options = parser.parse_args(words)
    name = Path(options.output).stem if options.output else "mine"
    with file_or_model(options.a, None) as a, file_or_model(options.b, None) as b:
        found = explain(a, b, name=name, **numbers_of(options.number, explain))
    say_sheet(found, as_json=options.json, every_line=options.all)
    if options.output:
        _write(found, Path(options.output))
    return FINE if found.is_whole else DIFFERS


def _write(found: Explanation, path: Path) -> None:
    if found.layout is None:
        say_to_stderr(f"no tensor is explained, so there is no layout to write to {path}")
        return
    text = found.layout.to_toml()
    with replacing(path) as file:
        file.write(text.encode())
