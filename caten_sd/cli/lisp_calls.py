"""Calls in Lisp on the command line: ``layers.lisp:(Transformer 32 2 2 1e-5 32)``."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any

from caten_sd.cli import say_to_stderr
from caten_sd.errors import CatenError, LispError, LispWarning
from caten_sd.state.quoting import python_literal

_BETWEEN = re.compile(r"(?i)(?<=\.lisp):|(?<=\.lsp):|(?<=\.cl):|:(?=\()")
_ENDINGS = (".lisp", ".lsp", ".cl")


def split_call(text: str) -> tuple[str, str] | None:
    """Return the file and the call of a text, or None if it does not name a Lisp file.

    The call is "" for a file alone.

    >>> split_call("my nets.lisp:(Net 3)"), split_call("C:/x (1)/nets.lisp:Net")
    (('my nets.lisp', '(Net 3)'), ('C:/x (1)/nets.lisp', 'Net'))
    >>> split_call("nets.lisp"), split_call("a.b:Net(3)"), split_call("m.py:f(':(')")
    (('nets.lisp', ''), None, None)
    """
    ends = [found.start() for found in _BETWEEN.finditer(text) if _may_be_file(text, found.start())]
    if text.lower().endswith(_ENDINGS):
        ends.append(len(text))
    end = next((each for each in ends if os.path.isfile(text[:each])), ends[0] if ends else None)
    return None if end is None else (text[:end], text[end + 1 :])


def _may_be_file(text: str, end: int) -> bool:
    """Return whether Lisp may follow what is before: no Python file and no call in Python."""
    lisp = text[max(end - 5, 0) : end].lower().endswith(_ENDINGS)
    return lisp or (end > 0 and not text.endswith(".py", 0, end) and text.find("(", 0, end) < 0)


def build_call(text: str, file: str, call: str) -> Any:
    """Return the model that a call builds; warnings are said on the error stream."""
    from caten_sd.lisp.lisp_file import read_lisp

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LispWarning)
        try:
            model = read_lisp(Path(file)).build(call)
        except LispError:
            raise
        except CatenError as error:
            raise CatenError(f"{text} does not build a model: {error}") from error
    for each in caught:
        say_to_stderr(str(each.message))
    return model


def python_call(file: str, call: str) -> str:
    """Return the model of a call as Python that has the names of ``caten_sd``."""
    return f"read_lisp({python_literal(file)}).build({python_literal(call)})"
