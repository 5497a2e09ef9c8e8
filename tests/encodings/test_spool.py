from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caten_sd.encodings.spool import spooled
from caten_sd.errors import FormatError


def test_a_spool_is_mapped_and_has_no_name(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    source = spooled("a", 6, iter([b"abc", b"def"]))
    assert list(tmp_path.iterdir()) == []
    assert bytes(source.view(2, 3)) == b"cde"
    source.close()
    with pytest.raises(FormatError, match="closed"):
        source.read(0, 1)


def test_a_spool_asks_for_room_first() -> None:
    with pytest.raises(FormatError, match="are free"):
        spooled("a", 1 << 60, iter([b"never taken"]))


def test_what_fails_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def broken() -> Any:
        yield b"abc"
        raise FormatError("a", "it breaks off")

    with pytest.raises(FormatError, match="breaks off"):
        spooled("a", 6, broken())
    assert list(tmp_path.iterdir()) == []
