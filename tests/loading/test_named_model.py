"""A state dict whose names alone are known, and a live model."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest
from torch import nn

from caten_sd import LayoutError, StateDict, between, get_state_dict, to_layout, with_state
from caten_sd.layout import Transpose
from caten_sd.nn import BatchNorm, Conv2d
from tests.loading.layered_models import Small, keys


def flax_file(channels: int) -> StateDict:
    random = np.random.default_rng(0)
    shapes = {
        "params.Conv_0.kernel": (3, 3, 3, channels),
        "params.Conv_0.bias": (channels,),
        "params.BatchNorm_0.scale": (channels,),
        "params.BatchNorm_0.bias": (channels,),
        "params.Dense_0.kernel": (channels, 2),
        "params.Dense_0.bias": (2,),
        "batch_stats.BatchNorm_0.mean": (channels,),
        "batch_stats.BatchNorm_0.var": (channels,),
    }
    return StateDict(
        {key: random.uniform(1, 2, shape).astype("f4") for key, shape in shapes.items()}
    )


def test_a_file_of_torch_is_put_into_a_model_of_another_world() -> None:
    model = nn.ModuleDict({"conv": nn.Conv2d(3, 5, 3), "norm": nn.BatchNorm2d(5)})
    file = StateDict(dict(get_state_dict(model)))
    ours = Small(Conv2d(3, 5, 3), BatchNorm(5), None)
    assert keys(between(file, ours))["norm.weight"] == "norm.affine"


def test_names_of_flax_are_known_without_flax() -> None:
    file = flax_file(5)
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Linear(5, 2))
    layout = between(file, model)
    assert keys(layout)["batch_stats.BatchNorm_0.var"] == "1.running_var"
    state = to_layout(file, layout)
    assert np.array_equal(
        np.asarray(state["0.weight"]), file["params.Conv_0.kernel"].transpose(3, 2, 0, 1)
    )
    with_state(model, state, strict=True)
    again = to_layout(get_state_dict(model), between(model, file))
    assert again.keys() == file.keys()


def test_frameworks_that_differ_are_refused_until_one_is_named() -> None:
    model = {"conv": nn.Conv2d(3, 3, 3, bias=False)}
    file = StateDict({"conv.weight": np.zeros((3, 3, 3, 3), "f4")})
    with pytest.raises(LayoutError, match="world='torch' or world='mlx'"):
        between(file, model)
    (row,) = between(file, model, world="mlx").rows
    assert row.operation == Transpose((0, 3, 1, 2))


def test_a_transposed_kernel_whose_shape_does_not_tell_is_refused() -> None:
    model = {"up": nn.ConvTranspose2d(3, 3, 3)}
    kernel = np.zeros((3, 3, 3, 3), "f4")
    file = StateDict({"up.kernel": kernel, "up.bias": np.zeros(3, "f4")})
    with pytest.raises(LayoutError, match="two ways"):
        between(file, model)


def test_an_embedding_and_a_dense_layer_of_one_shape_are_told_by_their_names() -> None:
    model = {"embed": nn.Embedding(5, 3), "out": nn.Linear(3, 5, bias=False)}
    leaf = np.zeros((5, 3), "f4")
    file = StateDict({"tokens.weight": leaf, "scores.weight": leaf + 1})
    with pytest.raises(LayoutError, match=r"names=\{"):
        between(file, model)
    names = {"tokens": "embed", "scores": "out"}
    assert keys(between(file, model, names=names))["tokens.weight"] == "embed.weight"
    back = {there: here for here, there in names.items()}
    assert keys(between(model, file, names=back))["out.weight"] == "scores.weight"


def test_names_that_orbax_ends_in_value_are_those_of_flax() -> None:
    file = StateDict({"out.kernel.value": np.zeros((3, 2), "f4")})
    layout = between(file, {"out": nn.Linear(3, 2, bias=False)})
    assert keys(layout) == {"out.kernel.value": "out.weight"}


def test_a_part_that_a_file_has_lost_is_not_made_up() -> None:
    file, model = StateDict({"fc.weight": np.zeros((2, 3), "f4")}), {"fc": nn.Linear(3, 2)}
    with pytest.raises(LayoutError, match="fc has no bias, as fc has"):
        between(file, model)
    live = {"fc": nn.Linear(3, 2, bias=False)}
    assert between(live, model).notes == ("fc: bias is filled with 0",)
    back = to_layout(get_state_dict(live), between(live, file))
    assert list(back) == ["fc.weight"]


def test_an_object_of_no_known_kind_is_not_taken_by_its_names() -> None:
    @attrs.define
    class Product:
        kernel: Any

    with pytest.raises(LayoutError, match="Product has no layer of a known kind"):
        between(Product(np.zeros((2, 2), "f4")), nn.Linear(2, 2, bias=False))


def test_values_do_not_decide_which_layer_is_which() -> None:
    """A file of Equinox whose statistics only the model can correct is refused as that."""
    names = ("weight", "bias", "batch_state_index.0", "batch_state_index.1")
    leaves = {f"norm.{name}": np.ones(3, "f4") for name in names}
    file = StateDict({**leaves, "norm.batch_counter": np.array(7)})
    layout = between(file, {"norm": nn.BatchNorm1d(3)}, world="equinox")
    with pytest.raises(LayoutError, match="counted 7 batches"):
        to_layout(file, layout)


def test_two_files_are_refused() -> None:
    with pytest.raises(LayoutError, match="give a live model"):
        between(flax_file(5), flax_file(5))


def test_a_world_that_is_unknown_or_not_needed_is_refused() -> None:
    with pytest.raises(LayoutError, match=r"world= or --from is 'jax', .* one of"):
        between(flax_file(5), nn.Linear(3, 2), world="jax")
    with pytest.raises(LayoutError, match="leave out world= or --from"):
        between(nn.Linear(3, 2), nn.Linear(3, 2), world="torch")
