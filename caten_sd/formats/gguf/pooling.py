"""How the vectors of a text's tokens become that of the text, as sentence-transformers says it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caten_sd.errors import CatenError
from caten_sd.state.json_text import parse_json

MODULES = "modules.json"
_MOST = 1 << 20  # bytes of a file
# The number of llama.cpp's enum llama_pooling_type; the options of old files, and of new ones.
_NUMBERS = {
    1: ("pooling_mode_mean_tokens", "mean"),
    2: ("pooling_mode_cls_token", "cls"),
    3: ("pooling_mode_lasttoken", "lasttoken"),
}


def pooling_type(folder: Path) -> int | None:
    """Return llama.cpp's number for the pooling of a model in a folder, or None."""
    options = _parsed(folder / MODULES)
    for each in options if isinstance(options, list) else []:
        if isinstance(each, Mapping) and str(each.get("type")).endswith("Pooling"):
            return _number(_parsed(_inner(folder, each.get("path")) / "config.json"))
    return None


def _number(options: Any) -> int | None:
    if not isinstance(options, Mapping):
        return None
    said = [number for number, (old, _) in _NUMBERS.items() if options.get(old) is True]
    named = [n for n, (_, new) in _NUMBERS.items() if new == options.get("pooling_mode")]
    return next(iter([*said, *named]), None)


def _inner(folder: Path, path: Any) -> Path:
    """Return the folder of a module, which is directly in that of the model."""
    return folder / (Path(path).name if isinstance(path, str) else "")


def _parsed(path: Path) -> Any:
    try:
        if path.is_file() and path.stat().st_size < _MOST:
            return parse_json(str(path), path.read_bytes())
    except (CatenError, OSError, ValueError, RecursionError):
        pass
    return None
