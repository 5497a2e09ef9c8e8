"""Sums of fingerprints: what is left out of a search, and what is not."""

from __future__ import annotations

import numpy as np
import pytest

from caten_sd.proof import sums as searched
from caten_sd.proof.sums import sums
from caten_sd.proof.weights import Weights
from caten_sd.state.state_dict import as_state_dict


def weights(leaves: dict[str, np.ndarray]) -> Weights:
    found = Weights(as_state_dict(leaves))
    found.read(found.levels)
    return found


def test_what_no_other_can_be_joined_with_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    parts = {f"h.{n}.w": random.standard_normal(n + 2).astype("f4") for n in range(4)}
    looked: list[str] = []
    monkeypatch.setattr(searched, "stacks", lambda keys: looked.extend(keys) or [])
    whole = weights({"whole": np.concatenate([parts["h.0.w"], parts["h.1.w"]])})
    known = whole.prints["whole"]
    total = (known.elements, known.sums[0])
    ((solution,),) = sums(weights(parts), parts, "float32", {total: "whole"}).values()
    assert [bearer.name for bearer in solution] == ["h.0.w", "h.1.w"]
    assert looked == ["h.0.w", "h.1.w"]


def test_tensors_of_the_same_kind_share_what_describes_them() -> None:
    found = weights({"a": np.zeros((2, 3), "f4"), "b": np.ones((2, 3), "f4")})
    assert found.specs["a"] is found.specs["b"]
