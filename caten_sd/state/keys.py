"""Split from caten_sd/objects/extract.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from caten_sd.state.state_dict import Name, Path

KeyMapper = Callable[[Path], str]


def pytorch_style_dict_key(path: Iterable[Any]) -> str:
    """Return the key of a path as PyTorch would name it: "." between, "-" in a slot's name to "_".

    >>> pytorch_style_dict_key(["h", 0, "ln-1", "bias"])
    'h.0.ln_1.bias'
    """
    try:
        key = ".".join(path)  # several times faster, and most paths hold no index
    except TypeError:
        key = ".".join([part if isinstance(part, str) else str(part) for part in path])
    return ".".join(map(_segment, path)) if "-" in key else key


def _segment(part: Any) -> str:
    if isinstance(part, str):
        return part if isinstance(part, Name) else part.replace("-", "_")
    return str(part)


def lisp_style_dict_key(path: Iterable[Any]) -> str:
    """Return the key as Caten folds it, for paths of Lisp symbols: lower case, "-" to "_".

    >>> lisp_style_dict_key(["H", 0, "LN-1", "AFFINE"])
    'h.0.ln_1.affine'
    """
    return ".".join(map(str, path)).lower().replace("-", "_")


def show(path: Path) -> str:
    """Return a path as a message names it."""
    return repr(pytorch_style_dict_key(path)) if path else "the root"
