"""Which layer of one model is which of another: by name, by order, or by shape."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from torch import nn

from caten_sd import (
    LayoutError,
    StateDict,
    between,
    get_state_dict,
)
from caten_sd.nn import Transformer
from tests.loading.layered_models import Net, keys


def test_layers_that_are_alike_are_in_the_order_of_their_numbers() -> None:
    other = {"stem_4": nn.Conv2d(3, 3, 3), "stem_12": nn.Conv2d(3, 3, 3)}
    layout = between(nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU(), nn.Conv2d(3, 3, 3)), other)
    assert keys(layout)["0.weight"] == "stem_4.weight"
    assert keys(layout)["2.weight"] == "stem_12.weight"


def test_a_layer_that_is_alone_of_its_shape_needs_no_name() -> None:
    layout = between(
        {"a": nn.Linear(2, 3), "b": nn.Linear(3, 2)}, [nn.Linear(3, 2), nn.Linear(2, 3)]
    )
    assert keys(layout)["a.weight"] == "1.weight"


def test_names_below_another_root_are_found() -> None:
    layout = between(Net("body"), {"model": Net("trunk")})
    assert keys(layout)["body.2.weight"] == "model.trunk.2.weight"


def test_layers_that_nothing_distinguishes_are_refused_with_a_line_that_settles_it() -> None:
    one, other = ({name: nn.Linear(3, 3) for name in names} for names in ("ab", "xy"))
    with pytest.raises(LayoutError, match="no certain counterpart") as caught:
        between(one, other)
    found = re.search(r"names=(\{.*?\})", str(caught.value))
    assert found
    layout = between(one, other, names={"a": "y", "b": "x"})
    assert keys(layout)["a.weight"] == "y.weight"
    assert keys(between(one, other, names=eval(found[1])))["a.weight"] == "x.weight"


@pytest.mark.parametrize("names", [("fc1", "fc_1"), ("A", "a"), ("!", "?")])
def test_names_of_the_same_words_are_told_by_their_very_letters(names: tuple[str, str]) -> None:
    one, other = ({name: nn.Linear(2, 2) for name in order} for order in (names, names[::-1]))
    layout = between(one, other)
    assert all(here == there for here, there in keys(layout).items())


def norms(*names: str) -> dict[str, Any]:
    return {name: nn.LayerNorm(2) for name in names}


def test_names_below_a_wrapper_of_some_layers_are_found_by_their_ends() -> None:
    inner = {"h": [{"ln_1": nn.LayerNorm(2), "ln_2": nn.LayerNorm(2)}], "ln_f": nn.LayerNorm(2)}
    layout = between(
        {"transformer": inner, "head": nn.Linear(2, 2)}, {**inner, "head": nn.Linear(2, 2)}
    )
    assert keys(layout)["transformer.h.0.ln_2.weight"] == "h.0.ln_2.weight"
    assert keys(layout)["transformer.ln_f.bias"] == "ln_f.bias"
    with pytest.raises(LayoutError, match="no certain counterpart"):
        between(norms("a.x", "b.x"), norms("x", "y"))


def test_the_same_numbers_of_another_count_do_not_cross() -> None:
    sizes = {"0": 2, "2": 2, "4": 3}, {"0": 2, "1": 2, "2": 3}
    one, other = ({n: nn.Linear(2, size) for n, size in each.items()} for each in sizes)
    found = keys(between(one, other))
    assert [found[f"{n}.weight"] for n in (0, 2, 4)] == ["0.weight", "1.weight", "2.weight"]


@pytest.mark.parametrize(
    "keys_of_file",
    [
        [f"{'a.' * n}weight" for n in range(1, 220)],
        [f"fc{'1' * 5000}.weight", f"{'9' * 5000}.weight"],
        [f"{n}.weight" for n in range(200)],
    ],
    ids=["deep", "long numbers", "many"],
)
def test_hostile_names_of_a_file_are_refused(keys_of_file: list[str]) -> None:
    file = StateDict({key: np.full((2, 2), n, "f4") for n, key in enumerate(keys_of_file)})
    with pytest.raises(LayoutError, match="no certain counterpart"):
        between(file, {"fc": nn.Linear(2, 2)})


def test_transformers_of_caten_are_matched_as_a_whole() -> None:
    model = Transformer(32, 2, 2, 1e-5, 32)
    layout = between(model, Transformer(32, 2, 2, 1e-5, 32))
    assert keys(layout)["h.1.attn.c_attn.weight"] == "h.1.attn.c_attn.weight"
    assert len(layout.rows) == len(get_state_dict(model))
