"""Renamings are guessed from names and shapes; two equal guesses that conflict are none."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.loading.renaming_guess import Renaming, hides_a_transposition, renamings
from caten_sd.state.renames import renamed

names = st.sampled_from(["attn", "mlp", "ln", "h", "0", "1", "wte"])
keys = st.lists(names, min_size=1, max_size=4).map(lambda parts: ".".join([*parts, "weight"]))
shapes = st.dictionaries(keys, st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1)


@given(shapes, st.sampled_from(["model", "base_model.model", "x"]))
def test_a_prefix_is_found_and_its_rules_undo_it(
    model: dict[str, tuple[int, ...]], prefix: str
) -> None:
    file = {f"{prefix}.{key}": shape for key, shape in model.items()}
    found = renamings(file, model)
    undone = renamed(file, {each.old: each.new for each in found})
    assert {undone[key]: shape for key, shape in file.items()} == model


@given(shapes)
def test_every_key_that_it_counts_agrees(model: dict[str, tuple[int, ...]]) -> None:
    file = {key.replace("attn", "attention"): shape for key, shape in model.items()}
    missing = {key: shape for key, shape in model.items() if key not in file}
    extra = {key: shape for key, shape in file.items() if key not in model}
    for each in renamings(extra, missing):
        assert 0 < each.agreeing <= each.total


def test_a_prefix_that_could_be_either_of_two_is_not_guessed() -> None:
    file = {"old.weight": (3, 3)}
    assert renamings(file, {"a.weight": (3, 3), "b.weight": (3, 3)}) == []


def test_other_shapes_are_not_evidence() -> None:
    assert renamings({"old.weight": (3, 3)}, {"new.weight": (4, 4)}) == []


def test_thousands_of_keys_are_fast() -> None:
    model = {f"h.{i}.{name}.w": (i, 2) for i in range(3000) for name in ("a", "b", "c")}
    found = renamings({f"m.{key}": shape for key, shape in model.items()}, model)
    assert [(each.old, each.new, each.agreeing) for each in found] == [("m", "", 9000)]


def test_a_single_tensor_has_no_prefix_to_rename() -> None:
    assert renamings({"": (3,)}, {"weight": (3, 3), "bias": (3,)}) == []
    assert renamings({"weight": (3, 3), "bias": (3,)}, {"": (3,)}) == []


def test_names_that_a_rule_cannot_spell_are_not_guessed() -> None:
    deep = ".".join(map(str, range(12)))
    for name in (deep, "{i}", "#", "{", "a}"):
        assert renamings({f"{name}.old": (2, 3)}, {f"{name}.new": (2, 3)}) == []


def test_a_key_with_a_sign_of_a_rule_is_not_put_into_one() -> None:
    for sign in "{}*":
        assert renamings({f"old{sign}.w": (2, 3)}, {f"new{sign}.w": (2, 3)}) == []


@pytest.mark.parametrize(
    ("key", "hides"),
    [
        ("h.0.kernel", True),
        ("h.10.kernel", True),
        ("h.a.kernel", False),
        ("h.0.x.kernel", False),
        ("h.0.bias", False),
        ("h.0\n.kernel", False),
    ],
)
def test_a_square_matrix_of_another_last_name_may_be_transposed(key: str, hides: bool) -> None:
    rule = Renaming("h.{i}.kernel", "h.{i}.weight", 1, 1)
    assert hides_a_transposition(rule, {key: (3, 3)}) is hides
    assert not hides_a_transposition(rule, {key: (3, 4)})
    assert not hides_a_transposition(rule._replace(new="g.{i}.kernel"), {key: (3, 3)})


def test_a_rule_of_a_long_key_takes_little_memory() -> None:
    long = "a(" * 500_000
    tracemalloc.start()
    try:
        assert hides_a_transposition(Renaming(long, "weight", 1, 1), {long: (3, 3)})
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
