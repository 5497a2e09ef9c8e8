"""Sums over pairs of leaves in files: those of arrays, by one thread or two, or an error."""

import threading
import time
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from caten_sd import read_state_dict
from caten_sd.errors import FormatError
from caten_sd.proof.diff_pieces import tally_of
from caten_sd.proof.diff_rounding import rounding_between
from caten_sd.proof.diff_tally import Tally
from caten_sd.proof.stored_floats import StoredFloats
from caten_sd.proof.stored_tallies import StoredPair, stored_tallies

DTYPES = ["f4", "f8", "f2", ml_dtypes.bfloat16, "i4", "i8", "u1", "?", "c8"]


def values(count: int, seed: int) -> Any:
    """Return values of which some blocks are odd: infinite, large, tiny, or all zero."""
    random = np.random.default_rng(seed)
    made = random.standard_normal(count) * 3
    each = count // 7
    made[:each] = 0
    made[each : each + 5] = [np.inf, -np.inf, np.nan, 40_000, -60_000][: count - each]
    made[2 * each : 3 * each] *= 1e-30
    made[3 * each : 4 * each] *= 3000
    return made


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("count", [1, 7, 1001, (1 << 17) + 1, (1 << 20) + 5, 3 << 18])
@pytest.mark.parametrize("dtypes", [*zip(DTYPES, DTYPES, strict=True), ("f4", "f2"), ("f2", "f4")])
def test_files_have_the_sums_of_memory(
    dtypes: tuple[Any, Any], count: int, quick: bool, tmp_path: Path
) -> None:
    """A file is read as floats in pairs, in place and by two threads; an array is cast."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a, b = (values(count, n).astype(dtype) for n, dtype in enumerate(dtypes))
    for name, array in (("a", a), ("b", b)):
        save_file({"w": array}, tmp_path / name)
    one, other = (read_state_dict(tmp_path / name, format="safetensors")["w"] for name in "ab")
    rounding = rounding_between(one.dtype, other.dtype)
    [stored] = stored_tallies([StoredPair(one, other, rounding)], quick=quick)
    tallies = stored, tally_of(a, b, rounding, quick=quick)
    found, wanted = (
        {key: value for key, value in each.result()._asdict().items() if value is not None}
        for each in tallies
    )
    assert found.pop("cosine") == pytest.approx(wanted.pop("cosine"), abs=1e-5)
    assert found == pytest.approx(wanted, rel=2e-5, abs=1e-37)
    assert tallies[0].is_within == tallies[1].is_within


@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize("count", [1 << 10, 1 << 22])
def test_a_file_that_is_cut_off_meanwhile_is_an_error(
    name: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in "ab":
        save_file({"w": np.full(count, ord(each), "f2")}, tmp_path / each)
    one, other = (read_state_dict(tmp_path / each, format="safetensors")["w"] for each in "ab")
    add = Tally.add_floats

    def cut(tally: Tally, *values: Any, **below: Any) -> bool:
        with open(tmp_path / name, "r+b") as file:
            file.truncate(200)
        return add(tally, *values, **below)

    monkeypatch.setattr(Tally, "add_floats", cut)
    with pytest.raises(FormatError, match="changed"):
        stored_tallies([StoredPair(one, other)])


def test_an_error_in_one_thread_ends_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"w": np.ones(1 << 24, "f2")}, tmp_path / "x")
    leaf = read_state_dict(tmp_path / "x", format="safetensors")["w"]
    calls = []

    def stop(tally: Tally, *values: Any, **below: Any) -> bool:
        calls.append(threading.current_thread())
        if calls[-1] is threading.main_thread():
            raise KeyboardInterrupt
        time.sleep(0.01)
        return True

    monkeypatch.setattr(Tally, "add_floats", stop)
    before = threading.active_count()  # a worker of pytest-xdist has another
    with pytest.raises(KeyboardInterrupt):
        stored_tallies([StoredPair(leaf, leaf)])
    assert len(calls) < 10  # of 64 blocks
    assert threading.active_count() == before


def test_an_interrupt_before_the_first_block_ends_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file({"w": np.ones(1 << 24, "f2")}, tmp_path / "x")
    leaf = read_state_dict(tmp_path / "x", format="safetensors")["w"]
    submit, calls = ThreadPoolExecutor.submit, []

    def interrupted(*values: Any) -> None:
        submit(*values)
        raise KeyboardInterrupt

    def add(tally: Tally, *values: Any, **below: Any) -> bool:
        calls.append(tally)
        time.sleep(0.01)
        return True

    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    monkeypatch.setattr(Tally, "add_floats", add)
    with pytest.raises(KeyboardInterrupt):
        stored_tallies([StoredPair(leaf, leaf)])
    assert len(calls) < 10  # of 64 blocks


@pytest.mark.parametrize("quick", [False, True])
def test_many_pairs_at_once(quick: bool, tmp_path: Path) -> None:
    """Large ones are shared by two threads, small ones are not; none has a part of another."""
    random = np.random.default_rng(0)
    counts = [3, 1 << 21, 0, (1 << 19) + 1, 5000, 1 << 19, (1 << 21) + 7]
    kinds = ["f4", "f2", "f4", ml_dtypes.bfloat16, "f8", "f2", "f4"]
    arrays = [
        tuple(random.standard_normal(count).astype(kind) for _ in "ab")
        for count, kind in zip(counts, kinds, strict=True)
    ]
    for side, name in enumerate("ab"):
        save_file({f"{n}": both[side] for n, both in enumerate(arrays)}, tmp_path / name)
    a, b = (read_state_dict(tmp_path / name, format="safetensors") for name in "ab")
    pairs = [StoredPair(a[f"{n}"], b[f"{n}"]) for n in range(len(counts))]
    for found, both in zip(stored_tallies(pairs, quick=quick), arrays, strict=True):
        wanted = tally_of(*both, quick=quick)
        assert (found.elements, found.changed) == (both[0].size, wanted.changed)
        assert found.largest == wanted.largest
        assert found.squares == pytest.approx(wanted.squares, rel=1e-5)


@pytest.mark.parametrize("dtypes", [("i8", "i8"), ("c8", "c8"), ("f4", "f2"), ("f2", "f2")])
def test_memory_is_that_of_a_block(dtypes: tuple[str, str], tmp_path: Path) -> None:
    """What the first pairs took is free for the next ones; halves here are not finite."""
    for name, dtype in zip("ab", dtypes, strict=True):
        array = np.arange(1 << 16).astype("f4") % 50_000
        array[9] = 9 if dtype[0] == "i" else np.inf
        save_file({f"{n}": array.astype(dtype) for n in range(40)}, tmp_path / name)
    a, b = (read_state_dict(tmp_path / name, format="safetensors") for name in "ab")
    pairs = [StoredPair(a[key], b[key], rounding_between(a[key].dtype, b[key].dtype)) for key in a]
    stored_tallies(pairs[:1])
    tracemalloc.start()
    try:
        stored_tallies(pairs)
        assert tracemalloc.get_traced_memory()[1] < 10e6  # 40 keep 10 to 60 MB
    finally:
        tracemalloc.stop()


def test_large_halves_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their squares alone do not tell whether all are finite."""
    for name in "ab":
        save_file({"w": np.full(1001, 50_000 + ord(name) * 64, "f2")}, tmp_path / name)
    one, other = (read_state_dict(tmp_path / name, format="safetensors")["w"] for name in "ab")
    monkeypatch.setattr(StoredFloats, "values", None)
    [found] = stored_tallies([StoredPair(one, other)])
    assert (found.changed, found.largest) == (1001, 64)


def test_raw_bytes_are_not_numbers(tmp_path: Path) -> None:
    """As which MLX and Equinox write bfloat16."""
    np.save(tmp_path / "raw.npy", np.zeros(4, "V2"))
    [leaf] = read_state_dict(tmp_path / "raw.npy").values()
    assert not StoredPair.can_be(leaf, leaf)


def test_no_pairs_at_all() -> None:
    assert stored_tallies([]) == []
