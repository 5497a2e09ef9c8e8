"""``caten-sd keys FILE|module:callable``: one key on each line, or Caten's listing."""

from __future__ import annotations

from collections.abc import Sequence

from caten_sd.cli import FINE, say
from caten_sd.cli.arguments import CHECKPOINT, MODEL, parser_of
from caten_sd.cli.file_or_model import file_or_model
from caten_sd.errors.printable import printable

SUMMARY = "list the keys of a checkpoint or a model"


def run(words: Sequence[str]) -> int:
    """Print the keys."""
    parser = parser_of("keys", SUMMARY, "of", "FILE|module:callable", f"{CHECKPOINT}; or {MODEL}")
    parser.add_argument("--caten", action="store_true", help="print shapes too, as Caten does")
    options = parser.parse_args(words)
    with file_or_model(options.of, options.root) as state_dict:
        listing = str(state_dict).split("\n") if options.caten else map(printable, state_dict)
        say(*listing)
    return FINE
