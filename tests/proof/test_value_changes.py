"""Formulas among many tensors: found where there is one way, and soon where there is none."""

import numpy as np

from caten_sd import explain


def test_many_tensors_of_other_weights_are_left_alone() -> None:
    random = np.random.default_rng(0)
    a = {f"h.{i}.w": w for i, w in enumerate(random.standard_normal((500, 64)).astype("f4"))}
    b = {f"h.{i}.w": w for i, w in enumerate(random.standard_normal((500, 64)).astype("f4"))}
    found = explain(a, b)
    assert found.layout is None
    assert len(found.undecided) == 1000
    assert "no tensor of one" in found.sheet().cause


def test_each_of_many_norms_finds_its_own() -> None:
    random = np.random.default_rng(0)
    a = {f"h.{i}.w": w for i, w in enumerate(random.standard_normal((200, 64)).astype("f4"))}
    b = {f"l.{i}.g": w + np.float32(1) for i, w in enumerate(a.values())}
    found = explain(a, b)
    assert found.is_whole
    assert len(found.rows) == 1


def test_two_tensors_with_one_formula_are_undecided() -> None:
    random = np.random.default_rng(0)
    w = random.standard_normal(64).astype("f4")
    found = explain({"a": w, "x": random.standard_normal(3)}, {"b": w + 1, "c": w + 2})
    assert found.layout is None
    assert {each.key for each in found.undecided} == {"a", "x", "b", "c"}
