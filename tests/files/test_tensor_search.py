"""What is below a node of a nested checkpoint, found in bounded time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from caten_sd.files.tensor_search import Below, TensorSearch

W = np.zeros(2, "f4")
SCALAR = np.zeros((), "f4")
SEED = np.zeros(16, "u1")


@pytest.mark.parametrize(
    ("node", "found", "holds_parameters"),
    [
        (W, Below(tensor=True, weights=True), True),
        (SCALAR, Below(tensor=True), True),
        (SEED, Below(tensor=True, other=True), False),
        (3, Below(other=True), False),
        ({}, Below(), False),
        ({"a": {"b": [3, W]}}, Below(tensor=True, weights=True, other=True), True),
        ({"a": {"b.c": W}}, Below(tensor=True, dotted=True, weights=True), True),
        ({"a": {"b.c": 3}, "w": SCALAR}, Below(tensor=True, other=True), False),
    ],
)
def test_what_is_below_a_node(node: Any, found: Below, holds_parameters: bool) -> None:
    assert TensorSearch().below(node) == found
    assert found.holds_parameters is holds_parameters


def test_containers_that_repeat_or_hold_themselves_are_searched_once() -> None:
    bomb: Any = [3]
    for _ in range(60):
        bomb = [bomb, bomb]
    ring: list[Any] = [3]
    ring.append(ring)
    start = time.monotonic()
    assert TensorSearch().below({"bomb": bomb, "ring": ring}) == Below(other=True)
    assert time.monotonic() - start < 10  # a millisecond; unfolded it would take years
