"""``caten-sd port FILE.lisp``: write the models of a Lisp file as Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from caten_sd.cli import DIFFERS, FINE, say, say_to_stderr
from caten_sd.cli.arguments import bare_parser
from caten_sd.errors import CatenError
from caten_sd.files.atomic import replacing

SUMMARY = "write the models of a Lisp file as Python that needs no Lisp"


def run(words: Sequence[str]) -> int:
    """Write or print the module; what is not translated is said, and is code 1."""
    parser = bare_parser("port", SUMMARY)
    parser.add_argument("file", metavar="FILE.lisp", help="a Lisp file that defines models")
    parser.add_argument("-o", "--output", metavar="FILE.py", help="the file, else the screen")
    parser.add_argument("--force", action="store_true", help="replace a file of yours, too")
    options = parser.parse_args(words)
    from caten_sd.lisp.port.ported_module import port

    module = port(Path(options.file))
    if options.output is None:
        say(*module.text.splitlines())
    else:
        if not options.force:
            _refuse_to_replace(Path(options.output))
        with replacing(Path(options.output)) as file:
            file.write(module.text.encode())
    for each in module.problems:
        say_to_stderr(each)
    return DIFFERS if module.problems else FINE


def _refuse_to_replace(path: Path) -> None:
    """Raise CatenError for a file that port did not write, or that was changed since."""
    from caten_sd.lisp.port.written_mark import is_as_written

    try:
        data = path.read_bytes() if path.is_file() else b""
    except OSError:
        return  # writing it says why
    if data and not is_as_written(data.decode("utf-8", "replace")):
        raise CatenError(
            f"{path} is not as caten-sd port wrote it, and what was changed there would be lost; "
            f"choose another path, or pass --force"
        )
