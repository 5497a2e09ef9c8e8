"""Trees of names: what is a module of its own, and its sizes."""

from __future__ import annotations

import pytest

from caten_sd.mapping.name_trees import name_tree


def test_what_holds_one_other_module_alone_is_that_one() -> None:
    tree = name_tree({"up.0.conv.w": (3, 2), "up.0.conv.b": (3,), "out": (2,)})
    names = [node.name for node in tree.below()]
    assert names == ["up.0.conv", "up.0.conv.w", "up.0.conv.b", "out"]


def test_neither_the_order_nor_the_axes_of_tensors_change_the_sizes() -> None:
    one, other = (
        name_tree(shapes) for shapes in ({"a": (3, 2), "b": (4,)}, {"x": (1, 4), "y.w": (2, 3)})
    )
    assert one.sizes == other.sizes
    assert one.sizes != name_tree({"a": (3, 2), "b": (5,)}).sizes


def test_a_tensor_may_have_the_name_of_a_module() -> None:
    tree = name_tree({"a": (2,), "a.w": (3,), "a/b": (4,)})
    assert [node.name for node in tree.below()] == ["a", "a", "a.w", "a/b"]


def test_a_name_of_many_parts_has_few_levels() -> None:
    tree = name_tree({"a." * n + "w": (2,) for n in range(500)})
    assert tree.sizes[0] == 500


@pytest.mark.parametrize(
    "names", [["a.b", "a/b"], ["", "."], ["", "..", "/", "./."], [".a", "/a", "a"]]
)
def test_names_without_parts_or_with_the_same_ones_are_tensors_of_their_own(
    names: list[str],
) -> None:
    tree = name_tree(dict.fromkeys(names, (2,)))
    assert sorted(node.name for node in tree.below() if node.is_tensor) == sorted(names)
    assert tree.sizes[0] == len(names)
