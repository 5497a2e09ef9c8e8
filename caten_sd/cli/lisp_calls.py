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
    places = [
        (text[: found.start()], text[found.end() :])
        for found in _BETWEEN.finditer(text)
        if _may_be_file(text[: found.start()])
    ]
    if text.lower().endswith(_ENDINGS):
        places.append((text, ""))
    existing = (each for each in places if os.path.isfile(each[0]))
    return next(existing, places[0] if places else None)


def _may_be_file(place: str) -> bool:
    """Return whether Lisp may follow a place: no Python file, and no call in Python, does so."""
    lisp = place.lower().endswith(_ENDINGS)
    return lisp or ("(" not in place and not place.endswith(".py") and bool(place))


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
