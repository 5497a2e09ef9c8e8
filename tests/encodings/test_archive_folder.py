from __future__ import annotations

import pytest

from caten_sd.encodings.archive_folder import ArchivedSource, ArchiveFolder, Member
from caten_sd.errors import FormatError
from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source


def member(data: bytes, kind: str = "file") -> Member:
    source = Source("x", BytesBacking(data), 0, len(data))
    return Member(kind, len(data), lambda: ArchivedSource.of(source, "a.tar::x"))


FOLDER = ArchiveFolder(
    "a.tar",
    {
        "top": member(b"", "folder"),
        "top/w.pt": member(b"weights"),
        "top/link.pt": member(b"", "link"),
        "b": member(b"b"),
    },
)


def test_members_by_name() -> None:
    assert FOLDER.names() == ["top/w.pt", "top/link.pt", "b"]
    assert [FOLDER.has(name) for name in ("top/w.pt", "top/link.pt", "top", "c")] == [
        *(True, False, False, False)
    ]
    assert (FOLDER.size("top/w.pt"), FOLDER.size("top/link.pt")) == (7, 0)
    assert FOLDER.member("top/w.pt").read(0, 7) == b"weights"
    assert FOLDER.member("b") is FOLDER.member("b")


def test_a_subfolder() -> None:
    found = FOLDER.subfolder("top", "w.pt")
    assert (found.name, found.index, found.names()) == ("a.tar::top", "w.pt", ["w.pt", "link.pt"])
    assert FOLDER.subfolder("").names() == FOLDER.names()


def test_a_link_and_an_absent_member_are_refused() -> None:
    with pytest.raises(FormatError, match=r"a\.tar::top/link\.pt: it is a link"):
        FOLDER.member("top/link.pt")
    with pytest.raises(FormatError, match=r"no member '\.\./x'; it has top/w\.pt, "):
        FOLDER.member("../x")
