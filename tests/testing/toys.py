"""The toy format, and the same with one thing wrong, as fresh classes that a test may spoil."""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path

from caten_sd.files.format import Format

TEXT = Path(__file__).with_name("toy_format.py").read_text()
MODULE = "made_up_toy"


@contextlib.contextmanager
def toy(*edits: tuple[str, str]) -> Iterator[type[Format]]:
    """Yield the class that the toy's text makes after some edits; it is forgotten at the end."""
    text = TEXT
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    module = sys.modules[MODULE] = types.ModuleType(MODULE)
    try:
        exec(compile(text, "toy_format.py", "exec"), vars(module))
        yield module.Toy
    finally:
        module.Toy.name = ""  # a nameless format is none
        sys.modules.pop(MODULE, None)
