"""What lies next to a checkpoint: config.json, adapter_config.json, or Meta's params.json."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from caten_sd.errors import FormatError
from caten_sd.state.json_text import parse_json

MAX_CONFIG = 16 << 20  # bytes
CONFIG, ADAPTER, META = "config.json", "adapter_config.json", "params.json"


def config_of(path: Path) -> Any:
    """Return the config.json in a folder, or next to a file; None if there is no valid one.

    For a file of an adapter, such as adapter_model.safetensors, and for a folder that has no
    config.json, it is the adapter_config.json; for Meta's files it is params.json. A layout takes
    head counts from it, and its error names those it needs and does not find.
    """
    if "::" in str(path):
        return None  # a config.json next to an archive does not describe its members
    is_folder = os.path.isdir(path)
    names = [CONFIG, ADAPTER, META] if is_folder else [CONFIG]
    if not is_folder and path.name.startswith("consolidated."):
        names = [META, CONFIG]
    if not is_folder and path.name.startswith("adapter_model"):
        names = [ADAPTER, CONFIG]
    folder = path if is_folder else path.parent
    return next((found for name in names if (found := _parsed(folder / name)) is not None), None)


def adapter_config_of(path: Path) -> Any:
    """Return the adapter_config.json in a folder, or next to a file; None if there is none."""
    return _parsed((path if os.path.isdir(path) else path.parent) / ADAPTER)


def _parsed(config: Path) -> Any:
    try:
        if not config.is_file() or config.stat().st_size > MAX_CONFIG:
            return None
        return parse_json(str(config), config.read_bytes())
    except (FormatError, OSError, ValueError, RecursionError):
        return None
