from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caten_sd.errors import StateDictError
from caten_sd.files.checkpoint import write_state_dict
from caten_sd.files.format import Format
from caten_sd.files.stored_specs import stored_specs
from caten_sd.state.leaf import Spec, spec
from caten_sd.state.state_dict import StateDict


class Floats(Format):
    pass


def is_float(known: Spec) -> bool:
    return known.dtype.kind == "float"


def test_tied_leaves_are_listed_once() -> None:
    w = np.ones((2, 3), "f4")
    given = StateDict({"a": w, "b": np.ones(1, "f8"), "tied": w})
    found = stored_specs(Floats(), given, is_float)
    assert found == {"a": spec(w), "b": spec(given["b"])}


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (np.ones(1, "i4"), r"\(int32\).*another dtype"),
        ("text", "a str, which is not a tensor"),
        (None, "a NoneType, which"),
        (np.float32(3), "a float32, which is not a tensor.*asarray"),
        ({"a": np.ones(2)}, "a dict, which"),
        (object(), "an object, which"),
    ],
)
def test_what_the_format_cannot_hold_is_named(value: object, what: str) -> None:
    with pytest.raises(StateDictError, match=f"'step'.*{what}"):
        stored_specs(Floats(), StateDict({"w": np.ones(1), "step": value}), is_float)


@pytest.mark.parametrize("target", ["w.safetensors", "w.npz", "w.pt", "w.gguf", "w.npy/", "w.dcp/"])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: torch.eye(3).to_sparse(), "sparse.*dense"),
        (lambda: torch.eye(3).to_sparse_csr(), "sparse.*dense"),
        (lambda: torch.empty(3, device="meta"), "meta device"),
        (lambda: np.float32(3), "float32, which is not a tensor"),
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_a_leaf_without_bytes_is_named_before_anything_is_written(
    target: str, make: Callable[[], Any], words: str, tmp_path: Path
) -> None:
    state = {"fine": torch.ones(2), "the_bad_one": make()}
    with pytest.raises(StateDictError, match=f"'the_bad_one'.*{words}"):
        write_state_dict(state, f"{tmp_path}/{target}")
    assert not list(tmp_path.iterdir())
