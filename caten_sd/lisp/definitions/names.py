"""The names that a Lisp symbol has in Python: a key, an attribute, an argument."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Collection

from caten_sd.lisp.syntax.datum import Symbol
from caten_sd.state.keys import fold

_PYTHON_OWN = re.compile(r"__.*[^_]__")  # as in __dict__


def key_of(symbol: Symbol) -> str:
    """Return a symbol as Caten writes it in a key: in lower case, a hyphen as an underscore.

    >>> key_of(Symbol("LN-1", "ln-1")), key_of(Symbol("Wq-Proj", "|Wq-Proj|"))
    ('ln_1', 'wq_proj')
    """
    return fold(symbol.name, str.lower).replace("-", "_")


def python_name(symbol: Symbol, taken: Collection[str] = ()) -> str:
    """Return a name for Python that is near to a symbol's and not one of those that are taken.

    >>> python_name(Symbol("A.B", "a.b")), python_name(Symbol("*STAR*", "*star*"))
    ('a_b', 'star')
    >>> python_name(Symbol("LAMBDA", "lambda")), python_name(Symbol("TO", "to"), ["to"])
    ('lambda_', 'to_')
    >>> python_name(Symbol("__DICT__", "__dict__"))
    '__dict___'
    """
    name = unicodedata.normalize("NFKC", key_of(symbol).strip("*"))
    name = "".join(letter if f"a{letter}".isidentifier() else "_" for letter in name)
    if not name.isidentifier():
        name = f"_{name}"
    while keyword.iskeyword(name) or name in taken or _PYTHON_OWN.fullmatch(name):
        name += "_"
    return name


def class_name(symbol: Symbol) -> str:
    """Return a name for a class: the symbol as it was written, if Python can say it.

    >>> class_name(Symbol("GPT-2", "GPT-2")), class_name(Symbol("MLP", "Mlp"))
    ('GPT_2', 'Mlp')
    """
    written = symbol.spelling.replace("-", "_")
    if written.isidentifier() and not keyword.iskeyword(written):
        return written
    return python_name(symbol)
