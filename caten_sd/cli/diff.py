"""``caten-sd diff A B``: what differs between two checkpoints or models, and by how much."""

from __future__ import annotations

from collections.abc import Sequence

from caten_sd.cli import DIFFERS, FINE, say, say_sheet
from caten_sd.cli.arguments import CHECKPOINT, LAYOUT, MODEL, bare_parser
from caten_sd.cli.file_or_model import file_or_model
from caten_sd.proof.difference import diff

SUMMARY = "say what differs between two checkpoints or models, across formats and layouts"


def run(words: Sequence[str]) -> int:
    """Print what differs; 0 if no value does, 1 if one does."""
    parser = bare_parser("diff", SUMMARY)
    parser.add_argument("a", metavar="A", help=f"{CHECKPOINT}; or {MODEL}")
    parser.add_argument("b", metavar="B", help="another one, which is compared with A")
    parser.add_argument(
        "--root", metavar="NAME", help="take only what is under this name, in both files"
    )
    parser.add_argument("--to", metavar="LAYOUT", help=f"compare both in {LAYOUT}")
    parser.add_argument("--all", action="store_true", help="a line for every tensor")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    parser.add_argument(
        "--diffable",
        action="store_true",
        help="a line for every tensor in the order of the keys, for diff -u with another run",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="leave out the mean difference and how many elements changed",
    )
    options = parser.parse_args(words)
    with file_or_model(options.a, options.root) as a, file_or_model(options.b, options.root) as b:
        found = diff(a, b, layout=options.to, quick=options.quick)
    if options.diffable:
        say(*found.diffable().split("\n"))
    else:
        say_sheet(found, as_json=options.json, every_line=options.all)
    return FINE if found.is_same else DIFFERS
