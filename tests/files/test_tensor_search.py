"""What is below a node of a nested checkpoint, found in bounded time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from caten_sd.files.tensor_search import Below, TensorSearch

W = np.zeros(2, "f4")


@pytest.mark.parametrize(
    ("node", "tensor", "dotted"),
    [
        (W, True, False),
        (3, False, False),
        ({}, False, False),
        ({"a": {"b": [3, W]}}, True, False),
        ({"a": {"b.c": W}}, True, True),
        ({"a": {"b.c": 3}, "w": W}, True, False),
    ],
)
def test_tensors_and_dotted_keys_are_found(node: Any, tensor: bool, dotted: bool) -> None:
    assert TensorSearch().below(node) == Below(tensor, dotted)


def test_containers_that_repeat_or_hold_themselves_are_searched_once() -> None:
    bomb: Any = [3]
    for _ in range(60):
        bomb = [bomb, bomb]
    ring: list[Any] = [3]
    ring.append(ring)
    start = time.monotonic()
    assert TensorSearch().below({"bomb": bomb, "ring": ring}) == Below()
    assert time.monotonic() - start < 10  # a millisecond; unfolded it would take years
