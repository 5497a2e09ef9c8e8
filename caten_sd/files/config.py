"""The config.json that Hugging Face's libraries write next to a checkpoint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from caten_sd.errors import FormatError
from caten_sd.state.json_text import parse_json

MAX_CONFIG = 16 << 20  # bytes


def config_of(path: Path) -> Any:
    """Return the config.json in a folder, or next to a file; None if there is no valid one.

    A layout takes head counts from it, and its error names those it needs and does not find.
    """
    if "::" in str(path):
        return None  # a config.json next to an archive does not describe its members
    config = (path if os.path.isdir(path) else path.parent) / "config.json"
    try:
        if not config.is_file() or config.stat().st_size > MAX_CONFIG:
            return None
        return parse_json(str(config), config.read_bytes())
    except (FormatError, OSError, ValueError, RecursionError):
        return None
