"""``caten-sd port FILE.lisp``: write the models of a Lisp file as Python."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from caten_sd.cli import DIFFERS, FINE, say
from caten_sd.cli.arguments import Parser
from caten_sd.errors.printable import lines
from caten_sd.files.atomic import replacing

SUMMARY = "write the models of a Lisp file as Python that needs no Lisp"


def run(words: Sequence[str]) -> int:
    """Write or print the module; what is not translated is said, and is code 1."""
    parser = Parser("caten-sd port", description=f"{SUMMARY.capitalize()}.")
    parser.add_argument("file", metavar="FILE.lisp", help="a Lisp file that defines models")
    parser.add_argument("-o", "--output", metavar="FILE.py", help="the file, else the screen")
    options = parser.parse_args(words)
    from caten_sd.lisp.port.ported_module import port

    module = port(Path(options.file))
    if options.output is None:
        say(*module.text.splitlines())
    else:
        with replacing(Path(options.output)) as file:
            file.write(module.text.encode())
    for each in module.problems:
        print(f"caten-sd: {lines(each)}", file=sys.stderr)
    return DIFFERS if module.problems else FINE
