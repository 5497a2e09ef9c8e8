from __future__ import annotations

from pathlib import Path

import pytest

from caten_sd.errors import FormatError
from caten_sd.files.catalog import file_suffixes, find_format, format_of_target, formats
from caten_sd.files.format import Format, recognize
from caten_sd.source import BytesBacking, Folder, Source


def source_of(name: str, data: bytes) -> Source:
    return Source(name, BytesBacking(data), 0, len(data))


def test_every_file_of_formats_is_there_once() -> None:
    import caten_sd.formats

    files = {path.stem for path in Path(caten_sd.formats.__path__[0]).glob("[a-z]*.py")}
    found = [type(format) for format in formats()]
    assert {kind.__module__.rpartition(".")[2] for kind in found} >= files
    assert len(set(found)) == len(found)
    assert len({kind.name for kind in found}) == len(found)


@pytest.mark.parametrize(
    ("path", "folder", "name"),
    [
        ("a.safetensors", False, "safetensors"),
        ("A.SAFETENSORS", False, "safetensors"),
        ("a.safetensors.index.json", False, "sharded"),
        ("a", False, "sharded"),
        ("a", True, "sharded"),
        ("checkpoint-1.5", True, "sharded"),
        ("a.npy", False, "npy"),
        ("a.npy", True, "npy folder"),
        ("a.dcp", False, "dcp"),
        ("a.dcp", True, "dcp"),
        (".metadata", False, "dcp"),
        ("a.tar.gz", False, "archive"),
        ("pytorch_model.bin", False, "torch zip"),
        ("a.msgpack", False, "msgpack"),
        ("a.npz", False, "npz"),
        ("a.gguf", False, "gguf"),
    ],
)
def test_what_a_target_is_written_as(path: str, folder: bool, name: str) -> None:
    assert format_of_target(Path(path), folder=folder).name == name


def test_a_suffix_that_names_none() -> None:
    with pytest.raises(FormatError, match=r"its suffix names no format; use one of .*\.gguf"):
        format_of_target(Path("a.xyz"))


def test_a_format_of_ones_own_is_found_by_being_defined() -> None:
    class Own(Format):
        name = "own"
        suffixes = (".own",)

    @recognize.register(Own, Source)
    def _own(format: Own, source: Source, /) -> str | None:
        return "its first byte" if source.head(1) == b"!" else None

    assert isinstance(find_format(source_of("x", b"!")), Own)
    assert isinstance(format_of_target(Path("x.own")), Own)
    assert ".own" in file_suffixes()
    Own.name = ""  # no longer one
    with pytest.raises(FormatError, match="none of the known formats"):
        find_format(source_of("x", b"!"))


def test_a_folder_that_is_none_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(FormatError, match=r"it holds notes\.md; known are"):
        find_format(Folder(tmp_path))
