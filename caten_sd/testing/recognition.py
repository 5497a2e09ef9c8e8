"""Clauses on the class of a format, and on ``recognize``."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np

from caten_sd.errors import CatenError
from caten_sd.files.catalog import find_format, formats
from caten_sd.files.checkpoint import open_source, write_state_dict
from caten_sd.files.format import Format, read, recognize, write
from caten_sd.testing.clause import clause
from caten_sd.testing.measures import bytes_touched
from caten_sd.testing.samples import small_model
from caten_sd.testing.subject import KEY, Subject, require

_MOST = 1 << 18  # bytes that recognize may read of a file of 4 MB


@clause(one_leaf=True, unwritten=True)
def class_of_the_format(subject: Subject, /) -> None:
    """The class is found, has a name and suffixes of its own, and methods of recognize and read."""
    format, kind = subject.format, type(subject.format)
    require(bool(format.name), f"{kind.__name__} has no name")
    known = list(formats())
    others = [each for each in known if each.name == format.name and type(each) is not kind]
    require(not others, f"{format.name!r} is the name of another format, too")
    found = any(type(each) is kind for each in known)
    require(found, f"{kind.__name__} is not found, as it is not a direct subclass of Format")
    sound = isinstance(format.suffixes, tuple) and all(map(_is_suffix, format.suffixes))
    require(sound, f"its suffixes are {format.suffixes!r}, and not a tuple of texts like '.npz'")
    require(bool(format.suffixes) or not write.methods(kind), "it has no suffix to write")
    require(set(format.sources) <= {"file", "folder"}, f"its sources are {format.sources!r}")
    for generic in (recognize, read):
        own = [each for each in generic.methods() if _is_own(each.classes[0], kind)]
        require(bool(own), f"{generic.__name__} has no method for {kind.__name__}")


def _is_suffix(text: object) -> bool:
    return isinstance(text, str) and (text.startswith(".") or text == "/") and len(text) > 0


def _is_own(known: type, kind: type) -> bool:
    return issubclass(kind, known) and issubclass(known, Format) and known is not Format


@clause(one_leaf=True, unwritten=True)
def found_by_content(subject: Subject, /) -> None:
    """A file is found by its content, whatever it is called."""
    for number, path in enumerate(subject.sound()):
        with contextlib.closing(open_source(path)) as source:
            evidence = recognize(subject.format, source)
        text = isinstance(evidence, str) and bool(evidence)
        require(text, f"recognize returns {evidence!r} for {path.name}, and not its evidence")
        renamed = subject.folder / f"anything-{number}.xyz"
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, renamed)
        with contextlib.closing(open_source(renamed)) as source:
            taken = find_format(source)
        what = f"{path.name} is taken for {taken.name} under another name"
        require(type(taken) is type(subject.format), what)


@clause(one_leaf=True, unwritten=True)
def files_of_others(subject: Subject, /) -> None:
    """For what is of another kind, recognize returns None and never raises."""
    for path in (*_odd_files(subject.folder), *_files_of_other_formats(subject)):
        with contextlib.closing(open_source(path)) as source:
            kind = "folder" if path.is_dir() else "file"
            if kind not in subject.format.sources:
                continue
            try:
                evidence = recognize(subject.format, source)
            except Exception as error:
                what = f"{type(error).__name__} ({error})"
                require(False, f"recognize raises {what} for {path.name}")
            require(evidence is None, f"recognize takes {path.name}, with {evidence!r}")


def _odd_files(folder: Path) -> Iterator[Path]:
    contents = {
        "an-empty-file": b"",
        "a-byte": b"\0",
        "zeros": bytes(5000),
        "ones": b"\xff" * 5000,
        "a-text": b"hello\nworld\n" * 50,
        "some-json": b'{"a": [1, 2]}',
        "random-bytes": Random(0).randbytes(5000),
        "more-random-bytes": Random(1).randbytes(7),
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
        yield folder / name
    (folder / "an-empty-folder").mkdir()
    yield folder / "an-empty-folder"
    (folder / "a-folder").mkdir()
    shutil.copyfile(folder / "random-bytes", folder / "a-folder" / "random.data")
    yield folder / "a-folder"


def _files_of_other_formats(subject: Subject) -> Iterator[Path]:
    for number, other in enumerate(formats()):
        if type(other) is type(subject.format) or not other.suffixes:
            continue
        here = subject.apart(number)._replace(format=other)
        given = {KEY: np.ones(3, "f4")} if other.one_leaf else small_model()
        with contextlib.suppress(CatenError):
            write_state_dict(given, here.path, format=other)
            yield here.path


@clause(one_leaf=True)
def few_bytes_are_recognized(subject: Subject, /) -> None:
    """Of a large file, recognize reads only a small part."""
    path = subject.write({KEY: np.random.default_rng(0).random((512, 1024))})
    with contextlib.closing(open_source(path)) as source, bytes_touched() as touched:
        recognize(subject.format, source)
    require(sum(touched) <= _MOST, f"recognize reads {sum(touched):,} bytes of a file of 4 MB")
