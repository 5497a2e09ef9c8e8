import numpy as np
import pytest

from caten_sd.errors import LayoutError
from caten_sd.mapping.joined_ranks import joined_ranks

WQ, W1 = "layers.0.attention.wq.weight", "layers.0.feed_forward.w1.weight"


def test_one_rank_is_the_model() -> None:
    whole = {"anything": np.ones(3)}
    assert joined_ranks({"a": whole}) == whole


def test_a_key_of_one_rank_is_named_with_both_ranks() -> None:
    ranks = {"a.pth": {WQ: np.ones((2, 4))}, "b.pth": {WQ: np.ones((2, 4)), W1: np.ones((3, 4))}}
    with pytest.raises(LayoutError, match=r"w1\.weight is in only one of a\.pth and b\.pth"):
        joined_ranks(ranks)


def test_keys_that_no_layout_names_are_not_joined() -> None:
    ranks = {name: {WQ: np.ones((2, 4)), "mine.weight": np.ones(2)} for name in "ab"}
    with pytest.raises(LayoutError, match=r"no layout says how ranks divide its 2 tensors"):
        joined_ranks(ranks)


def test_an_axis_that_no_shape_allows_is_refused() -> None:
    """The embedding is divided along one of two axes, and the norm says how wide it is."""
    ranks = {
        name: {"tok_embeddings.weight": np.ones((6, 5)), "norm.weight": np.ones(4)} for name in "ab"
    }
    with pytest.raises(LayoutError, match=r"tok_embeddings\.weight has the shape \(6, 5\)"):
        joined_ranks(ranks)
    narrow = {"tok_embeddings.weight": np.ones((6, 2)), "norm.weight": np.ones(4)}
    found = joined_ranks({"a": narrow, "b": narrow})
    assert found["tok_embeddings.weight"].shape == (6, 4)


@pytest.mark.parametrize("shapes", [((), ()), ((3, 4), (3, 5))])
def test_parts_that_cannot_be_joined_are_named(shapes: tuple[tuple[int, ...], ...]) -> None:
    ranks = {
        name: {"output.weight": np.ones(shape)} for name, shape in zip("ab", shapes, strict=True)
    }
    with pytest.raises(LayoutError, match=r"output\.weight of a, b: .*axis 0"):
        joined_ranks(ranks)
