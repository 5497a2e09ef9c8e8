"""Hold a process to the limits that every file has to keep, in a child that may end.

A reader may take 64 MB and 8 times the file's size in memory, and little time. Where the system
has no fork, nothing is limited, and a hang is a hang.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SECONDS = 5.0  # of the processor for one input; a sound one takes milliseconds
_SPARE = 64 << 20
_FACTOR = 8  # times the file's size
_OVERHEAD = 192 << 20  # of address space, which maps and modules take and memory does not

Say = Callable[[str], None]


class TooSlowError(BaseException):
    """An input has taken more than its share of the processor."""


@contextlib.contextmanager
def processor_limited() -> Iterator[None]:
    """Raise TooSlowError if the body takes longer on the processor than it may."""
    main = threading.current_thread() is threading.main_thread()
    if not (main and hasattr(signal, "setitimer")):
        yield
        return

    def too_slow(*_: Any) -> None:
        raise TooSlowError(f"it takes over {SECONDS:g} s of the processor")

    before = signal.signal(signal.SIGVTALRM, too_slow)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def limit_memory(size: int, overhead: int = _OVERHEAD) -> None:
    """Give this process no more memory than a file of this size may take, if the system can."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        most = used + _SPARE + _FACTOR * size + overhead
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def in_child(work: Callable[[Say], str], size: int) -> str:
    """Return what the work returns in a child with limits for a file of this size.

    The work says what it tries. If the child ends, the last of that and how it ended are returned.
    """
    if not hasattr(os, "fork"):
        return work(lambda _: None)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads
        child = os.fork()
    if child == 0:
        _run(work, writing, size)
    os.close(writing)
    with open(reading, encoding="utf-8", errors="replace") as pipe:
        last = (pipe.read().split("\0") or [""])[-1]
    status = os.waitpid(child, 0)[1]
    if not status:
        return last
    end = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "an error"
    return f"{last}: the process ends by {end}"


def _run(work: Callable[[Say], str], pipe: int, size: int) -> None:
    """Do the work in the child, which then ends without a word to whoever waits in the parent."""

    def say(text: str) -> None:
        os.write(pipe, b"\0" + text.encode("utf-8", "replace")[:2000])

    code = 1
    try:
        faulthandler.disable()  # the parent says how the child ended
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        limit_memory(size)
        say(work(say))
        code = 0
    except BaseException as error:
        say(f"{type(error).__name__}: {error}")
    finally:
        os._exit(code)
