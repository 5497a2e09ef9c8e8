"""``caten-sd suggest A B``: a layout to be corrected, from names and shapes alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from caten_sd.cli import DIFFERS, FINE, say_sheet, say_to_stderr
from caten_sd.cli.arguments import CHECKPOINT, bare_parser
from caten_sd.cli.file_or_model import file_or_model
from caten_sd.files.atomic import replacing

SUMMARY = "suggest a layout between names that do not meet, from names and shapes"


def run(words: Sequence[str]) -> int:
    """Print the rows that shapes tell, and the guesses; 1 if some tensors have none."""
    parser = bare_parser("suggest", SUMMARY)
    parser.add_argument("a", metavar="A", help=f"{CHECKPOINT}; its names are the canonical ones")
    parser.add_argument("b", metavar="B", help="another, or a model; the layout is that of B")
    parser.add_argument("-o", "--output", metavar="FILE.toml", help="write the layout to this file")
    parser.add_argument("--all", action="store_true", help="a line for every row and name")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    options = parser.parse_args(words)
    from caten_sd.proof.suggestion import suggest

    name = Path(options.output).stem if options.output else "mine"
    with file_or_model(options.a, None) as a, file_or_model(options.b, None) as b:
        found = suggest(a, b, name=name)
    say_sheet(found, as_json=options.json, every_line=options.all)
    if options.output and found.layout is None:
        say_to_stderr(f"nothing is suggested, so there is no layout to write to {options.output}")
    elif options.output:
        with replacing(Path(options.output)) as file:
            file.write(found.to_toml().encode())
    return FINE if found.is_whole else DIFFERS
