"""``caten-sd suggest A B``: a layout to be corrected, from names and shapes alone."""

from __future__ import annotations

from collections.abc import Sequence

from caten_sd.cli import DIFFERS, FINE, say_sheet
from caten_sd.cli.arguments import CHECKPOINT, bare_parser
from caten_sd.cli.edited_file import refuse_to_replace
from caten_sd.cli.file_or_model import file_or_model
from caten_sd.cli.layout_output import add_output, layout_name, write_layout

SUMMARY = "suggest a layout between names that do not meet, from names and shapes"


def run(words: Sequence[str]) -> int:
    """Print the rows that shapes tell, and the guesses; 1 if some tensors have none."""
    parser = bare_parser("suggest", SUMMARY)
    parser.add_argument("a", metavar="A", help=f"{CHECKPOINT}; its names are the canonical ones")
    parser.add_argument("b", metavar="B", help="another, or a model; the layout is that of B")
    add_output(parser)
    parser.add_argument("--all", action="store_true", help="a line for every row and name")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    options = parser.parse_args(words)
    from caten_sd.proof.suggestion import suggest

    refuse_to_replace(options)
    with file_or_model(options.a, None) as a, file_or_model(options.b, None) as b:
        found = suggest(a, b, name=layout_name(options.output))
    say_sheet(found, as_json=options.json, every_line=options.all)
    write_layout(options.output, found.to_toml() if found.layout else "", "suggest")
    return FINE if found.is_whole else DIFFERS
