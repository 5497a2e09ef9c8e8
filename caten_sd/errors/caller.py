"""Where a warning points: at the line that called the library."""

from __future__ import annotations

import sys

OURS = ("caten_sd", "contextlib")  # a decorator of ours adds a frame of contextlib


def caller_level() -> int:
    """Return the ``stacklevel`` with which ``warnings.warn`` names the caller of the library."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in OURS:
        frame, level = frame.f_back, level + 1
    return level
