"""What a change of dtype does to values, and when leaves are equal."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from caten_sd import FormatError, StateDict, read_state_dict, write_state_dict
from caten_sd.state import compare
from caten_sd.state.compare import is_exact, largest_error, same_bytes, same_values
from caten_sd.state.dtype import DTYPES, numpy_dtype
from caten_sd.state.source import Source

ORDINARY = [d for d in DTYPES.values() if d.kind != "complex" and d.bits >= 8]
FLOATS = ["float64", "float32", "float16", "bfloat16", "float8_e5m2", "float8_e4m3fn"]


@pytest.mark.parametrize("source", ORDINARY, ids=str)
@pytest.mark.parametrize("target", ORDINARY, ids=str)
def test_is_exact_never_promises_too_much(source: object, target: object) -> None:
    """Every value that the source has, of bytes at random, comes back from the target."""
    if not is_exact(source, target):
        return
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 256, 64 * source.itemsize, dtype=np.uint8).tobytes()
    values = np.frombuffer(raw, numpy_dtype(source))
    if source.name == "bool":
        values = np.array([True, False])
    with np.errstate(all="ignore"):
        there = values.astype(numpy_dtype(target)).astype(values.dtype)
    assert np.array_equal(values.view(np.uint8), there.view(np.uint8)) or same_values(values, there)


@pytest.mark.parametrize(
    ("source", "target", "exact"),
    [
        ("int8", "float16", True), ("int16", "float16", False), ("uint8", "int16", True),
        ("uint8", "int8", False), ("int8", "uint8", False), ("int32", "float32", False),
        ("int32", "float64", True), ("bool", "uint8", True), ("float16", "bfloat16", False),
        ("float8_e5m2", "float16", True), ("float8_e4m3fn", "float16", True),
        ("int64", "float64", False), ("uint32", "int64", True),
    ],
)  # fmt: skip
def test_is_exact(source: str, target: str, exact: bool) -> None:
    assert is_exact(DTYPES[source], DTYPES[target]) is exact


class TestLargestError:
    def test_it_is_that_of_the_cast(self) -> None:
        values = np.linspace(-3, 3, 1000, dtype=np.float32)
        for name in FLOATS[2:]:
            cast = values.astype(numpy_dtype(DTYPES[name]))
            expected = np.abs(values - cast.astype(np.float32)).max()
            assert largest_error(values, cast) == pytest.approx(expected)

    def test_nan_where_nan_was_is_none_and_elsewhere_infinite(self) -> None:
        assert largest_error(np.array([np.nan, 1]), np.array([np.nan, 1])) == 0
        assert largest_error(np.array([np.nan, 1]), np.array([0.0, 1])) == math.inf

    def test_an_overflow_is_infinite(self) -> None:
        big = np.array([1e6], np.float32)
        with np.errstate(over="ignore"):
            assert largest_error(big, big.astype(np.float16)) == math.inf

    def test_the_largest_integers(self) -> None:
        count = np.array([2**53 + 1], np.int64)
        assert largest_error(count, count.astype(np.float64)) == 1

    def test_torch_against_numpy_in_blocks(self) -> None:
        values = np.zeros(3_000_000, np.float32)
        values[2_900_000] = 1.001
        error = largest_error(values, torch.from_numpy(values).bfloat16())
        assert error == pytest.approx(0.001, rel=0.1)


class TestSameValues:
    def test_nan_equals_nan_and_bits_may_differ(self) -> None:
        assert same_values(np.array([np.nan, 0.0]), torch.tensor([torch.nan, -0.0]).double())
        assert not same_values(np.array([1.0]), np.array([2.0]))
        assert not same_values(np.ones(2), np.ones((2, 1)))

    def test_across_dtypes(self) -> None:
        assert same_values(np.array([1, 2], np.float32), np.array([1, 2], ml_dtypes.bfloat16))

    def test_what_is_not_contiguous(self) -> None:
        square = np.arange(9.0).reshape(3, 3)
        assert same_values(square.T, np.ascontiguousarray(square.T))
        assert not same_values(square.T, square)


class TestSameBytes:
    """Leaves of files, in memory, or one of each."""

    SIZES = (0, 1, 63, 64, 65, 1000)

    @pytest.fixture(autouse=True)
    def _small_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(compare, "_PART", 64)
        monkeypatch.setattr(compare, "_SHARED", 500)

    def pair(self, tmp_path: Path, change: Callable[[Any], Any]) -> tuple[StateDict, StateDict]:
        """Return a file of bytes and one with changed ones, in another order."""
        given = {f"w{n}": np.arange(n, dtype=np.uint8) for n in self.SIZES}
        write_state_dict(given, tmp_path / "a.safetensors")
        changed = {key: change(leaf.copy()) for key, leaf in given.items()}
        write_state_dict(dict(reversed(changed.items())), tmp_path / "b.npz")
        return read_state_dict(tmp_path / "a.safetensors"), read_state_dict(tmp_path / "b.npz")

    def test_equal_bytes_are_equal_wherever_they_are(self, tmp_path: Path) -> None:
        ours, theirs = self.pair(tmp_path, lambda leaf: leaf)
        for key in ours:
            assert same_bytes(ours[key], theirs[key])
            assert same_bytes(ours[key], ours[key].numpy())
            assert same_bytes(theirs[key].numpy(), ours[key])

    @pytest.mark.parametrize("place", [0, 63, 64, 499, 500, 999, -1])
    def test_one_other_byte_is_found(self, place: int, tmp_path: Path) -> None:
        def change(leaf: Any) -> Any:
            if leaf.size > abs(place):
                leaf[place] ^= 1
            return leaf

        ours, theirs = self.pair(tmp_path, change)
        for key in ours:
            same = np.array_equal(ours[key].numpy(), theirs[key].numpy())
            assert same_bytes(ours[key], theirs[key]) == same
            assert same_bytes(ours[key], theirs[key].numpy()) == same
        assert not same_bytes(ours["w1000"], theirs["w1000"])

    def test_another_length_differs(self, tmp_path: Path) -> None:
        ours, theirs = self.pair(tmp_path, lambda leaf: leaf[:-1])
        assert [same_bytes(ours[key], theirs[key]) for key in ours] == [True] + 5 * [False]

    @pytest.mark.parametrize("calls", [0, 1, 5, 20])
    def test_a_file_that_is_cut_off_meanwhile_is_an_error(
        self, calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_state_dict({"w": np.zeros(1000, "u1")}, tmp_path / "a.safetensors")
        write_state_dict({"w": np.zeros(1000, "u1")}, tmp_path / "b.safetensors")
        ours, theirs = (read_state_dict(tmp_path / f"{name}.safetensors") for name in "ab")
        assert ours["w"].numpy().size == theirs["w"].numpy().size  # both are mapped
        read_into, done = Source.read_into, []

        def cut(source: Source, *where: Any) -> None:
            done.append(source)
            if len(done) > calls:
                os.truncate(tmp_path / "b.safetensors", 200)
            read_into(source, *where)

        monkeypatch.setattr(Source, "read_into", cut)
        with pytest.raises(FormatError, match="changed from"):
            same_bytes(ours["w"], theirs["w"])

    @pytest.mark.parametrize("dtype", ["f4", "f2"])
    @pytest.mark.parametrize("turned", [False, True])
    def test_values_of_a_file_that_was_cut_off_are_an_error(
        self, dtype: str, turned: bool, tmp_path: Path
    ) -> None:
        square = np.zeros((800, 800), "f4")  # of more than a part
        write_state_dict({"w": square}, tmp_path / "a.safetensors")
        torch.save({"w": torch.from_numpy(square.astype(dtype)).t()}, tmp_path / "b.pt")
        ours = read_state_dict(tmp_path / "a.safetensors")["w"]
        theirs = read_state_dict(tmp_path / "b.pt")["w"]
        theirs = theirs if turned else np.ascontiguousarray(theirs.numpy())
        assert same_values(ours, theirs)
        assert ours.numpy().size == square.size  # which maps the file
        os.truncate(tmp_path / "a.safetensors", 4096)
        with pytest.raises(FormatError, match="changed from"):
            same_values(ours, theirs)


def test_values_of_large_leaves_in_files_are_compared_by_parts(tmp_path: Path) -> None:
    given = np.arange(3_000_000, dtype="f4").reshape(1500, 2000)
    for name, last in (("a", 0.0), ("b", -0.0), ("c", 1.0)):
        given[-1, -1] = last
        write_state_dict({"w": given}, tmp_path / f"{name}.safetensors")
    a, b, c = (read_state_dict(tmp_path / f"{name}.safetensors")["w"] for name in "abc")
    assert same_values(a, b)
    assert not same_values(a, c)
    assert not same_values(a, np.float64(given))


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_equal_bytes_under_other_scales_are_not_equal_values(tmp_path: Path) -> None:
    for name, value in (("a", 0.5), ("b", 1.0)):
        given = torch.quantize_per_tensor(torch.full((4,), value), value, 0, torch.qint8)
        assert given.int_repr().tolist() == [1] * 4
        torch.save({"w": given}, tmp_path / f"{name}.pt")
    a, b = (read_state_dict(tmp_path / f"{name}.pt")["w"] for name in "ab")
    assert same_values(a, a)
    assert not same_values(a, b)
