"""The command line: one file per command, and nothing imported that a command does not need."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from caten_sd.errors import CatenError

COMMANDS = {
    "show": "say what a checkpoint is and what it holds",
    "keys": "list the keys of a checkpoint or a model",
    "check": "tell whether a checkpoint fits a model or a layout, and why not",
    "convert": "write a checkpoint in another format, layout or dtype",
    "digest": "hash the tensors, the same in every container",
}
FINE, DIFFERS, FAILED = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0 if all is fine, 1 if something differs, 2 on an error."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        lines = [f"  {name:<8} {what}" for name, what in COMMANDS.items()]
        print("usage: caten-sd COMMAND ...", *lines, "see: caten-sd COMMAND --help", sep="\n")
        return FINE if words else FAILED
    if words[0] not in COMMANDS:
        print(
            f"caten-sd: {words[0]!r} is no command; there are {', '.join(COMMANDS)}",
            file=sys.stderr,
        )
        return FAILED
    command = importlib.import_module(f"caten_sd.cli.{words[0]}")
    try:
        code: int = command.run(words[1:])
        sys.stdout.flush()
        return code
    except CatenError as error:
        print(f"caten-sd: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # the reader has seen enough (head, less)
        sys.stderr.close()
        return FINE
    except KeyboardInterrupt:
        return 128 + 2
