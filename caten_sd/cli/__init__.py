"""The command line: one file for each command, found by discovery, imported when it is run.

A module of this folder is a command if it has a SUMMARY; its ``run`` takes the words after it.
"""

from __future__ import annotations

import importlib
import io
import pkgutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caten_sd.errors import CatenError
from caten_sd.errors.printable import escaped, lines

if TYPE_CHECKING:
    from caten_sd.state.sheet import HasSheet

FINE, DIFFERS, FAILED, INTERRUPTED = 0, 1, 2, 130  # exit codes


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 all is fine, 1 something differs, 2 an error."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):  # show keys that it cannot encode
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of the pipe has ended (head, less)
        sys.stderr.close()
        return FINE
    except (CatenError, OSError) as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED


def say(*texts: object) -> None:
    """Print each text on one line, with all escaped that a screen would obey; nothing is cut.

    Every command prints through this function and `say_to_stderr` only.
    """
    for text in texts:
        print(escaped(str(text)))


def say_to_stderr(sentence: str) -> None:
    """Print one error or warning where it does not mix with what is piped on."""
    print(f"caten-sd: {lines(sentence)}", file=sys.stderr)


def say_sheet(result: HasSheet, *, as_json: bool, every_line: bool = False) -> None:
    """Print a result as its sheet, which fits on a screen or has every line, or as JSON."""
    if as_json:
        import json

        say(*json.dumps(result.to_dict(), indent=1, allow_nan=False).split("\n"))
    else:
        say(*(result.sheet().every_line() if every_line else str(result)).split("\n"))


def commands() -> dict[str, str]:
    """Return the summary of every command by its name."""
    found = ((each.name, _command(each.name)) for each in pkgutil.iter_modules(__path__))
    return {name: module.SUMMARY for name, module in found if module is not None}


def _command(name: str) -> Any:
    """Return the module of a command, or None if there is no command of that name."""
    if name not in {each.name for each in pkgutil.iter_modules(__path__)}:
        return None
    module = importlib.import_module(f"{__name__}.{name}")
    return module if hasattr(module, "SUMMARY") else None


def _run(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        summaries = [f"  {name:<8} {summary}" for name, summary in commands().items()]
        say("usage: caten-sd COMMAND ...", *summaries, "see: caten-sd COMMAND --help")
        return FINE if words else FAILED
    if words[0] == "--version":
        say(f"caten-sd {importlib.import_module('caten_sd').__version__}")
        return FINE
    command = _command(words[0])
    if command is None:
        return _failed(f"{words[0]!r} is not a command; choose one of {', '.join(commands())}")
    code: int = command.run(words[1:])
    return code


def _failed(sentence: str) -> int:
    say_to_stderr(sentence)
    return FAILED
