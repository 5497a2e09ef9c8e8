"""Renamings are guessed from names and shapes; two equal guesses that conflict are none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from caten_sd.loading.renaming_guess import renamings
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
