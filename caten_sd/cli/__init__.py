"""The command line: one file per command, and nothing imported that a command does not need."""

from __future__ import annotations

import importlib
import io
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
    for stream in (sys.stdout, sys.stderr):  # a key that the terminal cannot show is no failure
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader has seen enough (head, less)
        sys.stderr.close()
        return FINE
    except (CatenError, OSError) as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        return 128 + 2


def _run(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        lines = [f"  {name:<8} {what}" for name, what in COMMANDS.items()]
        print("usage: caten-sd COMMAND ...", *lines, "see: caten-sd COMMAND --help", sep="\n")
        return FINE if words else FAILED
    if words[0] == "--version":
        print(f"caten-sd {importlib.import_module('caten_sd').__version__}")
        return FINE
    if words[0] not in COMMANDS:
        return _failed(f"{words[0]!r} is no command; there are {', '.join(COMMANDS)}")
    command = importlib.import_module(f"caten_sd.cli.{words[0]}")
    code: int = command.run(words[1:])
    return code


def _failed(sentence: str) -> int:
    print(f"caten-sd: {sentence}", file=sys.stderr)
    return FAILED
