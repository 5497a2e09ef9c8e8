"""``caten-sd port FILE.lisp``: write the models of a Lisp file as Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from caten_sd.cli import DIFFERS, FINE, say, say_to_stderr
from caten_sd.cli.arguments import bare_parser
from caten_sd.cli.edited_file import output_arguments, refuse_to_replace, write

SUMMARY = "write the models of a Lisp file as Python that needs no Lisp"


def run(words: Sequence[str]) -> int:
    """Write or print the module; what is not translated is said, and is code 1."""
    parser = bare_parser("port", SUMMARY)
    parser.add_argument("file", metavar="FILE.lisp", help="a Lisp file that defines models")
    output_arguments(parser, "FILE.py", "the file, else the screen")
    options = parser.parse_args(words)
    from caten_sd.lisp.port.ported_module import port

    module = port(Path(options.file))
    if options.output is None:
        say(*module.text.splitlines())
    else:
        refuse_to_replace(options)
        write(options.output, module.text)
    for each in module.problems:
        say_to_stderr(each)
    return DIFFERS if module.problems else FINE
