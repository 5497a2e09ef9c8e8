"""Values of two leaves side by side: every element once, in the same order, in bounded memory."""

import itertools
import threading
import time
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from caten_sd import read_state_dict
from caten_sd.blocks.block_types import block_type
from caten_sd.errors import FormatError
from caten_sd.proof.diff_pieces import SecondThread, blocks_of, has_numbers, squares_of, tally_of
from caten_sd.proof.diff_rounding import rounding_between
from caten_sd.proof.diff_tally import Tally
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.derived import derive
from caten_sd.state.steps import Permute


def kinds(folder: Path, array: Any) -> dict[str, Any]:
    """Return a leaf for each way to hold an array."""
    save_file({"w": array, "t": np.ascontiguousarray(array.T)}, folder / "x.safetensors")
    state = read_state_dict(folder / "x.safetensors")
    return {
        "stored": state["w"],
        "turned": derive(Permute((1, 0)), [state["t"]]),
        "memory": array,
        "strided": np.asfortranarray(array),
    }


@pytest.mark.parametrize("dtype", ["f4", ml_dtypes.bfloat16, "i8"])
def test_the_same_elements_in_the_same_order(dtype: Any, tmp_path: Path) -> None:
    array = np.arange(700 * 300).reshape(700, 300).astype(dtype)
    for one, other in itertools.product(kinds(tmp_path, array).values(), repeat=2):
        blocks = [(a.copy(), b.copy()) for a, b in blocks_of(one, other)]
        for side in zip(*blocks, strict=True):
            assert (np.concatenate(side) == array.reshape(-1)).all()


def test_a_file_next_to_an_array_in_memory_is_read_in_pieces(tmp_path: Path) -> None:
    array = np.ones((4096, 2048), "f4")
    leaf = kinds(tmp_path, array)["stored"]
    for pair in ((leaf, array), (leaf, leaf)):
        tracemalloc.start()
        for _ in blocks_of(*pair):
            pass
        assert tracemalloc.get_traced_memory()[1] < array.nbytes / 3
        tracemalloc.stop()


def test_the_squares_are_the_same_in_every_order() -> None:
    array = np.random.default_rng(0).standard_normal((700, 300), dtype="f4")
    assert squares_of(array) == pytest.approx(float(np.square(array, dtype="f8").sum()), rel=1e-6)
    assert squares_of(np.ascontiguousarray(array.T)) == pytest.approx(squares_of(array), rel=1e-5)


def test_blocks_that_cannot_be_unpacked_have_no_numbers() -> None:
    kind = block_type("q8_k")
    assert not has_numbers(BlockTensor(kind, np.zeros((2, kind.size), "u1"), (2, kind.elements)))
    assert has_numbers(np.zeros(3))


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
    tallies = [tally_of(*both, rounding, quick=quick) for both in ((one, other), (a, b))]
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
        tally_of(one, other)


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
    with pytest.raises(KeyboardInterrupt), SecondThread() as other:
        tally_of(leaf, leaf, other=other)
    assert len(calls) < 10  # of 86 blocks
    assert threading.active_count() == 1


def test_two_threads_add_up_what_one_does(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    a = random.standard_normal((1 << 21) + 5, dtype="f4")
    b = np.where(random.random(a.size) < 0.1, a * 1.5, a).astype("f4")
    b[[3, -3]] = np.nan
    save_file({"a": a, "b": b}, tmp_path / "x.safetensors")
    state = read_state_dict(tmp_path / "x.safetensors")
    found, wanted = tally_of(state["a"], state["b"]).result(), tally_of(a, b).result()
    assert tuple(found) == pytest.approx(tuple(wanted), rel=1e-5)
    assert (found.elements, found.nan_b) == (a.size, 2)
