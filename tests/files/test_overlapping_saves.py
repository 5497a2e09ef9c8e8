"""Of saves that overlap exactly one stays, whole; the others wait or are refused."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from caten_sd.errors import CatenError
from caten_sd.files import atomic, leftovers, locks
from caten_sd.files.format import Format
from tests.files import overlaps
from tests.formats.test_conformance import writable


@pytest.fixture(params=writable(), ids=lambda each: each.name)
def format(request: pytest.FixtureRequest) -> Format:
    return request.param


def overlap(format: Format, path: str, *, there: bool) -> list[CatenError]:
    """Begin to save model 1, and save model 2 before that is done; return why the first failed."""
    begun, second_done = threading.Event(), threading.Event()
    errors: list[CatenError] = []
    pieces = 0

    def wait() -> None:
        nonlocal pieces
        pieces += 1
        if pieces == 2:  # when one shard is written
            begun.set()
            second_done.wait(0.1)

    def first() -> None:
        try:
            overlaps.save(format, path, 1, wait)
        except CatenError as error:
            errors.append(error)

    if there and format.name not in overlaps.NEVER_REPLACED:
        overlaps.save(format, path, 3, overlaps.at_once)
    saving = threading.Thread(target=first)
    saving.start()
    begun.wait()
    overlaps.save(format, path, 2, overlaps.at_once)
    second_done.set()
    saving.join()
    return errors


@pytest.mark.parametrize("there", [False, True], ids=["new", "replaced"])
def test_one_begins_before_the_other_ends(format: Format, tmp_path: Path, there: bool) -> None:
    errors = overlap(format, overlaps.target_in(format, tmp_path / "here"), there=there)
    # The second save of a set waits; of a file, and of a folder, the last to finish is refused or
    # replaces the other.
    assert len(errors) == (format.name in overlaps.NEVER_REPLACED)
    assert overlaps.assert_whole(format, tmp_path / "here") == (2 if format.many else 1)


def test_many_threads_at_once(format: Format, tmp_path: Path) -> None:
    path = overlaps.target_in(format, tmp_path / "here")
    saved: list[int] = []
    errors: list[BaseException] = []

    def save(number: int) -> None:
        try:
            overlaps.save(format, path, number, lambda: time.sleep(0.001))
            saved.append(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=(n,)) for n in range(overlaps.SAVERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(isinstance(error, CatenError) for error in errors), errors
    assert len(saved) == (1 if format.name in overlaps.NEVER_REPLACED else overlaps.SAVERS)
    assert overlaps.assert_whole(format, tmp_path / "here") in saved


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the test forks")
def test_many_processes_at_once(format: Format, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.files.overlaps", format.name, tmp_path],
        capture_output=True,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    can_save = 1 if format.name in overlaps.NEVER_REPLACED else overlaps.SAVERS
    assert json.loads(done.stdout) == [can_save] * overlaps.ROUNDS


class TestWithoutLocks:
    """On a file system without locks nobody waits, and still no model is lost or mixed."""

    @pytest.fixture(autouse=True)
    def _no_locks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in (locks, atomic, leftovers):
            monkeypatch.setattr(module, "lock", lambda handle, wait=False: None)

    @pytest.mark.parametrize("there", [False, True], ids=["new", "replaced"])
    def test_one_begins_before_the_other_ends(
        self, format: Format, tmp_path: Path, there: bool
    ) -> None:
        path = overlaps.target_in(format, tmp_path)
        errors = overlap(format, path, there=there)
        assert len(errors) == (format.name in overlaps.NEVER_REPLACED)
        assert overlaps.found_at(path) == (2 if format.name in overlaps.NEVER_REPLACED else 1)

    @pytest.mark.parametrize("turn", range(3))
    def test_many_threads_at_once(self, format: Format, tmp_path: Path, turn: int) -> None:
        path = overlaps.target_in(format, tmp_path)
        chance = random.Random(turn)
        saved: list[int] = []
        errors: list[BaseException] = []

        def save(number: int) -> None:
            try:
                wait = chance.random() / 200
                overlaps.save(format, path, number, lambda: time.sleep(wait))
                saved.append(number)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=save, args=(n,)) for n in range(overlaps.SAVERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(isinstance(error, CatenError) for error in errors), errors
        assert overlaps.found_at(path) in saved
