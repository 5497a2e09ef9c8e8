"""``caten-sd explain A B``: the layout between two files of the same weights, from their values."""

from __future__ import annotations

from collections.abc import Sequence

from caten_sd.cli import DIFFERS, FINE, say_sheet
from caten_sd.cli.arguments import CHECKPOINT, NUMBER, bare_parser, numbers_of
from caten_sd.cli.edited_file import refuse_to_replace
from caten_sd.cli.file_or_model import file_or_model
from caten_sd.cli.layout_output import add_output, layout_name, write_layout
from caten_sd.proof.explanation import explain

SUMMARY = "find the layout between two files of the same weights, from their values"


def run(words: Sequence[str]) -> int:
    """Print the rows and what is undecided, and write the layout; 1 if something is undecided."""
    parser = bare_parser("explain", SUMMARY)
    parser.add_argument("a", metavar="A", help=f"{CHECKPOINT}; its names are the canonical ones")
    parser.add_argument("b", metavar="B", help="another, or a model; the layout is that of B")
    add_output(parser)
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
    refuse_to_replace(options)
    with file_or_model(options.a, None) as a, file_or_model(options.b, None) as b:
        found = explain(
            a, b, name=layout_name(options.output), **numbers_of(options.number, explain)
        )
    say_sheet(found, as_json=options.json, every_line=options.all)
    write_layout(options.output, found.layout.to_toml() if found.layout else "", "explain")
    return FINE if found.is_whole else DIFFERS
