from __future__ import annotations

import os
import signal

import pytest

from caten_sd.testing.within_limits import Say, TooSlowError, in_child, processor_limited


def test_what_the_work_returns_comes_back() -> None:
    assert in_child(lambda say: "done", 0) == "done"
    assert in_child(lambda say: "", 0) == ""


def test_a_child_that_ends_is_told_with_what_it_tried() -> None:
    def work(say: Say) -> str:
        say("first")
        say("second")
        os.kill(os.getpid(), signal.SIGKILL)
        return "done"

    said = in_child(work, 0)
    assert all(text in said for text in ("second", "SIGKILL"))
    assert "first" not in said


def test_memory_is_limited_by_the_size_of_the_file() -> None:
    def work(say: Say) -> str:
        try:
            return str(len(bytearray(600 << 20)))
        except MemoryError:
            return "refused"

    assert in_child(work, 0) == "refused"
    assert in_child(work, 100 << 20) == str(600 << 20)


def test_an_exception_of_the_work_comes_back_with_its_class() -> None:
    def work(say: Say) -> str:
        raise KeyError("w")

    assert "KeyError" in in_child(work, 0)


def test_the_processor_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caten_sd.testing.within_limits.SECONDS", 0.05)
    before = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(TooSlowError), processor_limited():
        _endless()
    assert signal.getsignal(signal.SIGVTALRM) is before


def _endless() -> None:
    while True:
        pass
