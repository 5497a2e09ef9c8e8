"""Work on files, as whole processes: what a user waits for."""

from __future__ import annotations

import compileall
import functools
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors import safe_open

import caten_sd as sd
from caten_sd.state.compare import same_bytes

from .conftest import Race
from .processes import run_alone

WIDTH = 768


def weights(layers: int) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Yield a GPT-2 of 768 in Hugging Face's layout: 158 MB and 28 MB a layer."""
    draw = np.random.default_rng(0).standard_normal
    shapes = {
        "attn.c_attn.weight": (WIDTH, 3 * WIDTH),
        "attn.c_attn.bias": (3 * WIDTH,),
        "attn.c_proj.weight": (WIDTH, WIDTH),
        "attn.c_proj.bias": (WIDTH,),
        "mlp.c_fc.weight": (WIDTH, 4 * WIDTH),
        "mlp.c_fc.bias": (4 * WIDTH,),
        "mlp.c_proj.weight": (4 * WIDTH, WIDTH),
        "mlp.c_proj.bias": (WIDTH,),
        **{f"ln_{n}.{name}": (WIDTH,) for n in (1, 2) for name in ("weight", "bias")},
    }
    yield "transformer.wte.weight", draw((50257, WIDTH), "f4")
    yield "transformer.wpe.weight", draw((1024, WIDTH), "f4")
    for layer in range(layers):
        for name, shape in shapes.items():
            yield f"transformer.h.{layer}.{name}", draw(shape, "f4")
    yield "transformer.ln_f.weight", draw(WIDTH, "f4")
    yield "transformer.ln_f.bias", draw(WIDTH, "f4")


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 498 MB with the shapes of GPT-2."""
    path = tmp_path_factory.mktemp("files") / "gpt2.safetensors"
    sd.write_state_dict(dict(weights(12)), path)
    return path


def command(*words: str | Path) -> Callable[[], Any]:
    return lambda: subprocess.run(words, check=True, capture_output=True)


def processor(run: Callable[[], Any]) -> float:
    """Return the seconds of the processor, in which other processes have no part."""
    start = _taken()
    run()
    return _taken() - start


def _taken() -> float:
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def ours(*words: str | Path) -> Callable[[], Any]:
    return command(sys.executable, "-m", "caten_sd", *words)


def test_show_against_importing_numpy(race: Race, gpt2: Path):
    numpy = command(sys.executable, "-c", "import numpy")
    race("show 498 MB / import numpy", ours("show", gpt2), numpy, 1.0, pairs=15)


def test_compare_two_equal_files_against_cmp(race: Race, gpt2: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    shutil.copyfile(gpt2, other)

    def ours() -> None:
        with sd.read_state_dict(gpt2) as one, sd.read_state_dict(other) as two:
            assert all(same_bytes(one[key], two[key]) for key in one)

    cmp = command("cmp", gpt2, other)
    bound = "the memory: the bytes of both files are copied once and compared"
    race("compare two equal files of 498 MB / cmp", ours, cmp, 0.9, pairs=15, bound=bound)


@pytest.mark.slow
def test_convert_with_a_layout_change_against_dd(race: Race, gpt2: Path, tmp_path: Path):
    def written() -> None:
        with sd.read_state_dict(gpt2, streaming=True) as given:
            sd.write_state_dict(sd.to_layout(given, "caten-gpt2"), tmp_path / "ours.safetensors")

    dd = command("dd", f"if={gpt2}", f"of={tmp_path / 'dd'}", "bs=4M")
    synced = command("dd", f"if={gpt2}", f"of={tmp_path / 'dd'}", "bs=4M", "conv=fsync")
    bound = "the disk, and the memory: every byte is read twice, written, turned and hashed twice"
    race("write 498 MB turned to caten-gpt2 / dd", written, dd, 1.5, bound=bound)
    race("write 498 MB turned to caten-gpt2 / dd with fsync", written, synced, 1.5, bound=bound)
    for options in (("--to", "caten-gpt2"), ("--dtype", "bf16"), ()):
        whole = ours("convert", gpt2, tmp_path / "ours.safetensors", *options)
        what = f"{' '.join(('convert', *options))}, read back and compared / dd with fsync"
        race(what, whole, synced, 2.0, bound=bound)


COUNTS = (10_000, 100_000, 1_000_000)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Files of so many small tensors, whose data is not in the order of their header."""
    folder = tmp_path_factory.mktemp("many")
    paths = {count: folder / f"{count}.safetensors" for count in COUNTS}
    for count, path in paths.items():
        sd.write_state_dict({f"h.{i}.w": np.zeros(1, "f4") for i in range(count)}, path)
    return paths


def opened(path: Path, times: int) -> Callable[[], Any]:
    return lambda: [sd.read_state_dict(path).close() for _ in range(times)]


@pytest.mark.slow
@pytest.mark.parametrize("count", COUNTS)
def test_opening_against_safetensors(race: Race, many: dict[int, Path], count: int) -> None:
    times = COUNTS[-1] // count

    def peer() -> None:
        for _ in range(times):
            with safe_open(many[count], "np") as file:
                assert all(file.get_slice(key).get_shape() for key in file.keys())  # noqa: SIM118

    what = f"open {count:,} tensors / safe_open, keys and shapes"
    race(what, opened(many[count], times), peer, 1.5, pairs=3, measure=processor)
    if count > COUNTS[0]:
        few = opened(many[COUNTS[0]], COUNTS[-1] // COUNTS[0])
        what = f"open {count:,} tensors, per tensor / {COUNTS[0]:,}"
        race(what, opened(many[count], times), few, 1.2, pairs=3, measure=processor)


def names_of_npz(path: Path) -> None:
    """List the members, which numpy does without reading a shape."""
    with np.load(path) as file:
        assert file.files


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "peer", "at_most"), [("gguf", gguf.GGUFReader, 0.1), ("npz", names_of_npz, 2.5)]
)
def test_opening_other_formats(
    race: Race, tmp_path: Path, suffix: str, peer: Callable[[Path], Any], at_most: float
) -> None:
    paths = {count: tmp_path / f"{count}.{suffix}" for count in COUNTS[:2]}
    for count, path in paths.items():
        sd.write_state_dict({f"h.{i}.w": np.zeros(1, "f4") for i in range(count)}, path)
    few, many = (opened(paths[count], COUNTS[1] // count) for count in COUNTS[:2])
    what = f"open {suffix} of {COUNTS[0]:,} tensors / {peer.__name__}"
    theirs = functools.partial(peer, paths[COUNTS[0]])
    race(what, opened(paths[COUNTS[0]], 1), theirs, at_most, pairs=5, measure=processor)
    what = f"open {suffix} of {COUNTS[1]:,} tensors, per tensor / {COUNTS[0]:,}"
    race(what, many, few, 1.2, pairs=5, measure=processor)


@pytest.mark.slow
def test_memory_of_opening_a_million_tensors(race: Race, many: dict[int, Path]) -> None:
    code = "import sys, caten_sd as sd; sd.read_state_dict(sys.argv[1]).close()"
    few, most = (
        run_alone([sys.executable, "-c", code, many[n]]).peak for n in (COUNTS[0], COUNTS[-1])
    )
    header = many[COUNTS[-1]].stat().st_size / 1e6
    race(
        "memory over start-up: open 1,000,000 tensors / 3 times the file",
        lambda: most - few,
        lambda: 3 * header,
        1.0,
        pairs=1,
        measure=lambda run: float(run()),
        unit="MB",
    )


@pytest.fixture(scope="module", autouse=True)
def bytecode() -> None:
    """Compile the library, as its installation does, even if Python is told to write nothing."""
    compileall.compile_dir(Path(sd.__file__).parent, quiet=1)


CONVERT = "import sys, caten_sd as sd; sd.convert(*sys.argv[1:3], dtype='f16', format=sys.argv[3])"


def over_start_up(race: Race, path: Path, what: str, *words: str | Path) -> None:
    """Add the row of the memory that a conversion of a file takes."""
    start = run_alone([sys.executable, "-m", "caten_sd", "show", path]).peak
    whole = run_alone([sys.executable, *words]).peak
    gigabytes = path.stat().st_size / 1e9
    race(
        f"memory over start-up: convert {gigabytes:.1f} GB{what} / 100 MB",
        lambda: whole - start,
        lambda: 100.0,
        1.0,
        pairs=1,
        measure=lambda run: float(run()),
        unit="MB",
        bound="numpy, 15 MB, and a part: 2 MB, or 32 MB where rows lie apart",
    )


@pytest.mark.slow
@pytest.mark.parametrize("layers", [12, 140])
@pytest.mark.parametrize(
    "options",
    [(), ("--to", "caten-gpt2"), ("--dtype", "bf16"), ("--to", "caten-gpt2", "--dtype", "bf16")],
    ids=" ".join,
)
def test_memory_of_converting_over_start_up(
    race: Race, tmp_path: Path, layers: int, options: tuple[str, ...]
) -> None:
    path = tmp_path / "gpt2.safetensors"
    sd.write_state_dict({key: np.zeros_like(leaf) for key, leaf in weights(layers)}, path)
    target = tmp_path / "out.safetensors"
    words = "-m", "caten_sd", "convert", path, target, *options
    over_start_up(race, path, " ".join(("", *options)), *words)
    shutil.rmtree(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("size", [11_000, 32_000])
@pytest.mark.parametrize("options", [(), ("--dtype", "bf16"), ("--dtype", "q8_0")], ids=" ".join)
def test_memory_of_turning_one_matrix(
    race: Race, tmp_path: Path, size: int, options: tuple[str, ...]
) -> None:
    """One tensor of 0.5 or 4 GB, which the file holds transposed."""
    torch.save({"w": torch.zeros(size, size).t()}, tmp_path / "w.pt")
    words = "-m", "caten_sd", "convert", tmp_path / "w.pt", tmp_path / "out.gguf", *options
    over_start_up(
        race, tmp_path / "w.pt", f" in one turned matrix{' '.join(('', *options))}", *words
    )
    shutil.rmtree(tmp_path)


FORMATS = ["torch zip", "npz", "msgpack", "gguf", "sharded", "dcp", "npy folder"]


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_memory_of_writing_each_format(race: Race, gpt2: Path, tmp_path: Path, format: str) -> None:
    words = "-c", CONVERT, gpt2, tmp_path / "out", format
    over_start_up(race, gpt2, f" to {format} as f16", *words)
    shutil.rmtree(tmp_path)
