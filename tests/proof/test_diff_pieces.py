"""Values of two leaves side by side: every element once, in the same order, in bounded memory."""

import itertools
import tracemalloc
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from caten_sd import read_state_dict
from caten_sd.blocks.block_types import block_type
from caten_sd.proof.diff_pieces import blocks_of, has_numbers, squares_of
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
