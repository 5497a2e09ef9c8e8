"""What belongs together although its names differ, and what only looks like it."""

from typing import Any

import ml_dtypes
import numpy as np
import torch

from caten_sd import diff
from caten_sd.proof.likeness import Likeness
from tests.proof.test_diff_rounding import packed
from tests.proof.test_difference import kinds


def weight(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).standard_normal(shape, dtype="f4")


def rows(a: dict[str, Any], b: dict[str, Any]) -> dict[str, str]:
    return {row.key: f"{row.likeness.value}; {row.detail}" for row in diff(a, b).rows}


def test_two_tensors_that_changed_places_are_moved() -> None:
    gate, up = weight(0, 64, 32), weight(1, 64, 32)
    found = rows({"gate": gate, "up": up}, {"gate": up, "up": gate})
    assert found == {"gate -> up": "moved; ", "up -> gate": "moved; "}


def test_a_square_matrix_that_is_transposed_under_its_name_is_turned() -> None:
    w = weight(0, 64, 64)
    assert rows({"w": w}, {"w": w.T.copy()}) == {"w": "turned; Transpose(axes=None)"}


def test_a_matrix_with_an_axis_of_one_is_turned() -> None:
    w = weight(0, 64, 8)
    (found,) = rows({"w": w}, {"w": w[:, None]}).values()
    assert found.startswith("turned; Rearrange('a b -> a 1 b'")


def test_a_moved_tensor_in_a_narrower_dtype_says_so() -> None:
    w = weight(0, 64, 32)
    found = rows({"a": w, "x": w[0]}, {"b": w.astype(ml_dtypes.bfloat16), "x": w[0]})
    assert found["a -> b"] == "moved; equal once rounded to bfloat16"


def test_a_moved_tensor_that_is_quantized_says_how_far_its_values_are() -> None:
    w = weight(0, 64, 32)
    near = packed("Q8_0", w)
    (row,) = diff({"a": w}, {"b": near}).rows
    assert (row.likeness, row.detail) == (Likeness.MOVED, "equal within the rounding")
    assert row.change is not None
    assert row.change.largest > 0.001


def test_joined_and_stacked_tensors_are_turned() -> None:
    parts = [weight(n, 16, 8) for n in range(3)]
    apart = {f"e.{n}.w": each for n, each in enumerate(parts)}
    assert list(rows(apart, {"w": np.stack(parts)})) == ["e.*.w -> w"]
    joined = rows({"q": parts[0], "k": parts[1]}, {"qk": np.concatenate(parts[:2])})
    assert joined == {"q, k -> qk": "turned; Concat(shares=(1, 1), axis=0)"}


def test_constants_under_other_names_are_paired_by_their_module() -> None:
    a = {
        f"h.{i}.{n}": weight(i, 16, 16) if n == "w" else np.ones(16, "f4")
        for i in range(3)
        for n in "wg"
    }
    b = {key.replace("h.", "layer/").replace(".", "/"): each for key, each in a.items()}
    assert kinds(diff(a, b)) == {"moved": 6}


def test_a_small_tensor_that_differs_is_changed_whatever_its_order() -> None:
    a = np.array([1.0, 0.0, 0.0])
    assert kinds(diff({"w": a}, {"w": a[::-1].copy()})) == {"changed": 1}


def test_a_copy_on_one_side_alone_names_what_it_is_a_copy_of() -> None:
    w = weight(0, 64, 8)
    tied = {"wte": w, "head": w}
    apart = {"wte": w, "head": w.copy()}
    for a in (tied, apart):
        assert rows(a, {"wte": w})["head"] == "only in A; the same bytes as wte"


def test_two_seeds_of_many_layers_are_changed_and_nothing_else() -> None:
    models = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        models.append(torch.nn.TransformerEncoderLayer(32, 4, 64))
    found = kinds(diff(*models))
    assert set(found) <= {"changed", "bytes"}
