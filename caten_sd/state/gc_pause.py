"""Pause the garbage collector while many long-lived objects are built."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause garbage collection; a context manager and a decorator.

    Without it, taking the state dict of a model of 40,000 tensors triggers full collections, each
    of which visits the complete model: 0.3 s instead of 0.06 s.
    """
    if not gc.isenabled():
        yield
        return
    try:
        gc.disable()
        yield
    finally:
        gc.enable()
