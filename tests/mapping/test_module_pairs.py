"""Modules of the same sizes in two models: what they tell, and what they leave open."""

from __future__ import annotations

import pytest

from caten_sd.mapping import module_pairs
from caten_sd.mapping.key_templates import Shape
from caten_sd.mapping.module_pairs import tensors_by_module

Shapes = dict[str, Shape]


def layer(start: str, sizes: tuple[int, int], first: str, second: str) -> Shapes:
    """Return two convolutions, from one number of channels to another one."""
    one, other = sizes
    return {
        f"{start}.{first}.w": (other, one, 3),
        f"{start}.{first}.b": (other,),
        f"{start}.{second}.w": (other, other, 3),
        f"{start}.{second}.b": (other,),
    }


def model(starts: list[str], first: str, second: str) -> Shapes:
    """Return four layers, the first two and the last two of the same sizes."""
    sizes = (2, 2), (2, 2), (2, 4), (4, 4), (4, 4)
    found: Shapes = {}
    for start, each in zip(starts, sizes, strict=True):
        found |= layer(start, each, first, second)
    return found


A = model([f"down.{n}" for n in range(5)], "conv1", "conv2")
PLACES = ("in.1.0", "in.2.0", "in.4.0", "in.5.0", "in.7.0")


def test_lists_of_other_numbers_run_alike_and_one_layer_tells_the_names_of_all() -> None:
    b = model(list(PLACES), "zeta", "alpha")
    found = tensors_by_module(A, b)
    assert found == dict(zip(A, b, strict=True))


def test_a_list_may_count_back() -> None:
    starts = [f"up.{n}.block" for n in (4, 3, 2, 1, 0)]
    b = model(starts, "conv1", "conv2") | {"up.0.more": (9,), "up.3.least": (7,)}
    a = A | {"down.4.plus": (9,), "down.1.other": (7,)}
    found = tensors_by_module(a, b)
    assert found["down.0.conv1.w"] == "up.4.block.conv1.w"
    assert found["down.3.conv2.b"] == "up.1.block.conv2.b"


def test_where_one_side_lacks_a_tensor_only_modules_with_a_name_are_told() -> None:
    b = model(list(PLACES), "conv1", "conv2")
    whole = {**{f"unet.{k}": s for k, s in b.items()}, "decay": (1,)}
    a = {f"x.{k}": s for k, s in A.items()} | {"y.z": (8,)}
    assert len(tensors_by_module(a, whole)) == len(A)
    del b["in.4.0.conv1.w"]
    assert not tensors_by_module(A, b)


def test_sizes_alone_tell_nothing_of_names_without_numbers() -> None:
    assert not tensors_by_module({"a": (2,), "b": (2,)}, {"c": (2,), "d": (2,)})


def test_there_is_an_end_to_what_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    b = model(list(PLACES), "zeta", "alpha")
    monkeypatch.setattr(module_pairs, "MOST_TENSORS", 19)
    assert not tensors_by_module(A, b)
    monkeypatch.setattr(module_pairs, "MOST_TENSORS", 20)
    monkeypatch.setattr(module_pairs, "_MOST_VISITED", 0)
    assert not tensors_by_module(A, b)
