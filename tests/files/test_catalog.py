"""Which formats there are, and which one answers for a file or a target."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd import FormatError, write_state_dict
from caten_sd.extend import Format, read, recognize, write
from caten_sd.files import catalog
from caten_sd.files.catalog import (
    file_suffixes,
    find_format,
    format_of_target,
    formats,
    is_one_file,
    named_format,
)
from caten_sd.files.declarations import Declaration, built_in_formats
from caten_sd.files.format import Contents
from caten_sd.state.source import Folder, open_file


def test_every_file_in_the_folder_of_formats_is_a_format_once() -> None:
    names = [format.name for format in formats()]
    assert len(names) == len(set(names))
    assert len({type(format) for format in formats()}) == len(names)


READ = """
import json, sys
from caten_sd.encodings import zip_archive
parsed, parse = [], zip_archive.read_entries
zip_archive.read_entries = lambda source: parsed.append(source.name) or parse(source)
from caten_sd import read_state_dict
keys = list(read_state_dict(sys.argv[1]))
imported = set(sys.modules)
from caten_sd.files.declarations import built_in_formats
modules = {each.module.removeprefix("caten_sd.formats.") for each in built_in_formats()}
found = sorted(name for name in modules if f"caten_sd.formats.{name}" in imported)
print(json.dumps([keys, len(parsed), found]))
"""
TARS: dict[str, Any] = {".nemo": "w", ".tar": "w", ".tgz": "w:gz", ".tar.gz": "w:gz"} | {
    ".tar.xz": "w:xz",
    ".tar.bz2": "w:bz2",
}
# The format that writes what an archive, a folder or a record holds, besides their own.
INNER = {
    "archive": {"folder", "safetensors.one_file"},
    "folder": {"safetensors.one_file"},
    "sharded": {"safetensors.one_file"},
    "dcp": {"torch.zip"},
}
# Asked in turn if no suffix names one.
FOLDERS = {"folder", "gguf.container", "npy", "orbax.orbax_folder", "ranks", "sharded"}
ZIPPED = (".pt", ".pth", ".bin", ".ckpt", ".npz", ".zip", ".pt2")


def suffixes() -> Iterator[tuple[str, str, str]]:
    """Yield every suffix that there is, with the module and the name of its format.

    Ranks have none, and their folder is found by the names in it.
    """
    for each in [each for each in built_in_formats() if each.attributes.name != "ranks"]:
        for suffix in each.attributes.suffixes or ("folder",):
            yield suffix, each.module.removeprefix("caten_sd.formats."), each.attributes.name


def file_of(suffix: str, folder: Path) -> Path:
    """Return a file or folder with that suffix, which its own format or a stock library wrote."""
    arrays, path = {"w": np.zeros(2, "f4")}, folder / f"w{suffix}"
    if suffix in (".pkl", ".pickle"):
        path.write_bytes(pickle.dumps(arrays))
    elif suffix in TARS:
        with tarfile.open(path, TARS[suffix]) as tar:
            tar.add(file_of(".safetensors", folder), "w.safetensors")
    elif suffix == ".pt2":
        sizes = {"sizes": [2], "strides": [1], "storage_offset": 0, "dtype": 7, "layout": 7}
        entry = {"path_name": "weight_0", "use_pickle": False, "tensor_meta": sizes}
        with zipfile.ZipFile(path, "w") as zipped:
            zipped.writestr("w/data/weights/weight_0", bytes(8))
            config = json.dumps({"config": {"w": entry}})
            zipped.writestr("w/data/weights/model_weights_config.json", config)
            zipped.writestr("w/archive_format", "pt2")
            zipped.writestr("w/archive_version", "0")
    elif suffix == ".zip":
        with zipfile.ZipFile(path, "w") as zipped:
            zipped.write(file_of(".safetensors", folder), "w.safetensors")
    elif suffix == "folder":
        return file_of(".safetensors", folder).parent
    elif suffix in ("/", ".index.json"):
        write_state_dict({**arrays, "v": arrays["w"] + 1}, folder / "set", max_shard_size=8)
        return folder / "set" / ("model.safetensors.index.json" if suffix != "/" else "")
    elif suffix == ".eqx":
        with path.open("wb") as file:  # as equinox writes an array
            np.save(file, arrays["w"])
    elif suffix == ".metadata":
        return file_of(".dcp", folder) / suffix
    else:
        write_state_dict(arrays, f"{path}/" if suffix.endswith("/") else path)
    return path


@pytest.mark.parametrize(("suffix", "module", "name"), list(suffixes()))
def test_a_file_with_its_suffix_is_asked_of_its_own_format_alone_and_a_zip_is_parsed_once(
    suffix: str, module: str, name: str, tmp_path: Path
) -> None:
    run = [sys.executable, "-c", READ, str(file_of(suffix, tmp_path))]
    keys, parsed, modules = json.loads(subprocess.run(run, capture_output=True, check=True).stdout)
    assert keys[0] == ("0" if suffix == ".eqx" else "w")
    assert parsed == (suffix in ZIPPED)
    assert set(modules) == {module} | INNER.get(name, set()) | (FOLDERS if suffix == "/" else set())


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".gguf", ".pt", ".msgpack"])
def test_a_suffix_names_the_format_to_write(suffix: str, tmp_path: Path) -> None:
    assert suffix in format_of_target(tmp_path / f"w{suffix}").suffixes
    assert format_of_target(tmp_path / f"W{suffix.upper()}") is not None
    assert suffix in file_suffixes()


def test_a_suffix_that_names_none_is_an_error_that_lists_them(tmp_path: Path) -> None:
    with pytest.raises(
        FormatError, match=r"w\.xyz: its suffix names no format; use one of .*\.npz"
    ) as raised:
        format_of_target(tmp_path / "w.xyz")
    assert not {".eqx,", ".pt2,", ".zip,", ".pkl,"} & {*str(raised.value).split()}


@pytest.mark.parametrize("name", ["w.safetensors", "w.npz", "w.pt", "no_suffix", "w.bin"])
def test_a_file_is_recognized_by_its_content(name: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_state_dict({"w": np.zeros(2, "f4")}, path)
    path = path.rename(tmp_path / name)
    assert find_format(open_file(path)).name == "safetensors"


@pytest.mark.parametrize("name", ["w.pkl", "w.pt", "w.npz", "w.safetensors"])
@pytest.mark.parametrize("length", [0x280, 0x580, 0x717D])  # a pickle may begin so
def test_a_length_that_looks_like_a_pickle_is_still_one_of_safetensors(
    length: int, name: str, tmp_path: Path
) -> None:
    header = b'{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'.ljust(length)
    (tmp_path / name).write_bytes(length.to_bytes(8, "little") + header + b".")
    assert find_format(open_file(tmp_path / name)).name == "safetensors"


def test_a_file_of_no_format_is_an_error_that_lists_them(tmp_path: Path) -> None:
    path = tmp_path / "w.xyz"
    path.write_bytes(b"\1nothing that anybody knows")
    with pytest.raises(FormatError, match=r"it is none of the known formats; they are .*npz"):
        find_format(open_file(path))


def test_the_format_of_the_suffix_says_what_is_wrong_with_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"\1nothing that anybody knows")
    assert find_format(open_file(path)).name == "safetensors"


def test_a_folder_without_a_checkpoint_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no file in it makes it a checkpoint; it holds nothing"):
        find_format(Folder(tmp_path))
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FormatError, match=r"it holds notes\.txt"):
        find_format(Folder(tmp_path))


@pytest.fixture
def lines() -> Iterator[type[Format]]:
    """A format of a user's own: a line a tensor; it is forgotten again after the test."""

    class Lines(Format):
        name = "lines"
        suffixes = (".lines",)

    @recognize.register(Lines)
    def recognize_lines(format: Any, source: Any, /) -> str | None:
        return "a first line" if source.head(6) == b"#lines" else None

    @read.register(Lines)
    def read_lines(format: Any, source: Any, /) -> Contents:
        rows = source.read(0, source.size).decode().splitlines()[1:]
        tree = {row.split()[0]: np.array(row.split()[1:], "f4") for row in rows}
        return Contents(tree, {})

    @write.register(Lines)
    def write_lines(format: Any, target: Any, state_dict: Any, /) -> None:
        target.write(b"#lines\n")
        for key, leaf in state_dict.items():
            target.write(f"{key} {' '.join(map(str, leaf.tolist()))}\n".encode())

    yield Lines
    Lines.name = ""  # a nameless format is none


def test_a_format_defined_anywhere_is_known_from_then_on(
    lines: type[Format], tmp_path: Path
) -> None:
    from caten_sd import read_state_dict

    path = tmp_path / "w.lines"
    write_state_dict({"a": np.array([1, 2], "f4"), "b": np.array([3], "f4")}, path)
    assert path.read_text() == "#lines\na 1.0 2.0\nb 3.0\n"
    state = read_state_dict(path.rename(tmp_path / "w.npz"))
    assert {key: leaf.tolist() for key, leaf in state.items()} == {"a": [1, 2], "b": [3]}
    assert state.origin == "lines"


def test_a_format_defined_anywhere_is_asked_first_about_its_own_suffix(
    lines: type[Format], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.lines"
    write_state_dict({"a": np.array([1, 2], "f4")}, path)

    def load(declared: Declaration) -> Format:
        raise AssertionError(f"{declared.module} was imported")

    built_in = [each._replace(load=partial(load, each)) for each in built_in_formats()]
    monkeypatch.setattr(catalog, "built_in_formats", lambda name="": built_in)
    assert type(find_format(open_file(path))) is lines
    assert type(format_of_target(path)) is lines


def test_a_name_tells_a_format_by_its_suffix() -> None:
    for name, format in {
        "W.SAFETENSORS": "safetensors",
        "w.tar.gz": "archive",
        "w.safetensors.index.json": "sharded",
        "w.npy/": "npy folder",
        "w.npy": "npy",
    }.items():
        assert named_format(name).name == format  # type: ignore[union-attr]
    assert named_format("w.gz") is None
    assert named_format("folder/") is None


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (["a.npy", "b.npy"], True),
        (["a.npy", "b.npy", "readme.md"], False),
        (["m/version", "m/data.pkl"], True),
        (["m/data.pkl.txt", "data.pkl"], False),
        (["sys_info"], True),
        (["my_sys_info"], False),
        (["model.safetensors"], False),
        (["a\nb.npy"], True),
        ([], False),
    ],
)
def test_an_archive_is_one_file_if_a_format_has_such_members(
    members: list[str], expected: bool
) -> None:
    assert is_one_file(members) is expected


def test_a_damaged_file_that_no_suffix_of_a_file_names_is_of_no_format(tmp_path: Path) -> None:
    for name in ("w.dcp", "w.npy.xyz"):  # the first is a folder's
        (tmp_path / name).write_bytes(b"\1nothing that anybody knows")
        with pytest.raises(FormatError, match="it is none of the known formats"):
            find_format(open_file(tmp_path / name))


PLUG_IN = """
from caten_sd.extend import Contents, Format, Source, read, recognize, write

class PlugIn(Format):
    name = "plug-in"
    suffixes = {suffixes}

@recognize.register(PlugIn, Source)
def recognize_it(format, source):
    return "PLUG" if source.head(4) == b"PLUG" else None

@read.register(PlugIn, Source)
def read_it(format, source):
    return Contents(dict.fromkeys(source.read(4, source.size - 4).decode().split()), {{}})

@write.register(PlugIn)
def write_it(format, target, state_dict):
    target.write(b"PLUG" + " ".join(state_dict).encode())
"""


def with_plug_in(folder: Path, text: str, program: str) -> subprocess.CompletedProcess[str]:
    """Run a program where a package is installed that announces a format."""
    (folder / "plug_in.py").write_text(text)
    metadata = folder / "plug_in-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: plug-in\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[caten_sd.formats]\nplugged = plug_in\n")
    path = os.pathsep.join([str(folder), *sys.path])
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "suffixes"),
    [("m.plug", (".plug",)), ("m.v2.plug", (".v2.plug",)), ("m.bin", (".bin",)), ("m", ())],
)
def test_a_package_announces_a_format_by_an_entry_point(
    tmp_path: Path, name: str, suffixes: tuple[str, ...]
) -> None:
    (tmp_path / name).write_bytes(b"PLUGone two")
    program = f"""
from caten_sd import read_state_dict
with read_state_dict({name!r}, root="") as file:
    print(file.origin, *file.others)
"""
    done = with_plug_in(tmp_path, PLUG_IN.format(suffixes=suffixes), program)
    assert (done.stdout.split(), done.stderr) == (["plug-in", "one", "two"], "")


def test_an_announced_format_is_found_by_the_suffix_of_a_new_file(tmp_path: Path) -> None:
    program = """
import numpy
from caten_sd import write_state_dict
write_state_dict({"w": numpy.zeros(2)}, "new.plug")
"""
    done = with_plug_in(tmp_path, PLUG_IN.format(suffixes=(".plug",)), program)
    assert done.stderr == ""
    assert (tmp_path / "new.plug").read_bytes() == b"PLUGw"


@pytest.mark.parametrize(
    "call",
    [
        "read_state_dict('odd')",
        "read_state_dict('odd', format='plug-in')",
        "write_state_dict({}, 'new.plug')",
    ],
)
def test_a_format_that_cannot_be_imported_is_named_where_it_is_missed(
    tmp_path: Path, call: str
) -> None:
    (tmp_path / "odd").write_bytes(b"what nobody knows")
    needed = "from caten_sd import read_state_dict, write_state_dict"
    program = f"{needed}\nwrite_state_dict({{}}, 'm.npz')\n{call}"
    done = with_plug_in(tmp_path, "import no_such_module", program)
    error = done.stderr.splitlines()[-1]
    assert (tmp_path / "m.npz").exists()
    assert "'plugged' cannot be imported (ModuleNotFoundError: " in error
    assert "no_such_module" in error
