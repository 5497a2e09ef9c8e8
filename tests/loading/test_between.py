"""Layouts between two models: what they are used for, and what is said or refused."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest
import torch
from torch import nn

from caten_sd import (
    LayoutError,
    between,
    convert,
    get_state_dict,
    load,
    read_state_dict,
    save,
    to_layout,
    with_state,
)
from caten_sd.layout import Row, Transpose
from caten_sd.mapping.layer_kinds import StandardLayer
from caten_sd.nn import Attention, BatchNorm, Conv2d, Linear, call
from caten_sd.state.state_dict import STAMP
from tests.loading.layered_models import Net, Small, keys


@attrs.define
class Turned:
    """A layer of a made-up world, which says by itself how its kernel lies."""

    kernel: Any
    shift: Any

    def __layers__(self) -> tuple[StandardLayer, ...]:
        return (
            StandardLayer("dense", (Row("weight", "kernel", Transpose()), Row("bias", "shift"))),
        )


def test_a_model_and_its_like_have_the_same_names() -> None:
    layout = between(Net(), Net())
    assert all(one == other for one, other in keys(layout).items())
    state = get_state_dict(Net())
    assert to_layout(state, layout).keys() == state.keys()


def test_the_layout_is_used_by_load_and_convert_and_leaves_no_stamp(tmp_path: Any) -> None:
    source, target = Net("body"), Net("trunk")
    layout = between(source, target)
    save(source, tmp_path / "a.safetensors")
    load(target, tmp_path / "a.safetensors", layout=layout, strict=True)
    assert torch.equal(source.body[2].weight, target.trunk[2].weight)
    convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", layout=layout)
    with read_state_dict(tmp_path / "b.safetensors") as file:
        assert file.keys() == get_state_dict(target).keys()
        assert STAMP not in file.metadata
    back = to_layout(get_state_dict(target), layout.canonical, from_layout=layout)
    assert back.keys() == get_state_dict(source).keys()


def test_a_tied_layer_that_the_other_lacks_is_left_out_or_comes_with_the_tie() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(5, 3)
            self.out = nn.Linear(3, 5, bias=False)
            self.out.weight = self.embed.weight

    plain = nn.ModuleDict({"embed": nn.Embedding(5, 3)})
    there, back = between(Tied(), plain), between(plain, Tied())
    assert list(to_layout(get_state_dict(Tied()), there)) == ["embed.weight"]
    loaded = with_state(Tied(), to_layout(get_state_dict(plain), back), strict=True)
    assert torch.equal(loaded.out.weight, plain["embed"].weight)


def test_attention_of_two_dense_layers_is_one_of_torch_or_two_as_the_other_has_it() -> None:
    model = Attention(8, 2)
    other = {"attn": {"c_attn": nn.Linear(8, 24), "c_proj": nn.Linear(8, 8)}}
    assert keys(between({"attn": model}, other))["attn.c_attn.weight"] == "attn.c_attn.weight"
    torch_layer = made_attention()
    layout = between(torch_layer, model)
    loaded = with_state(model, to_layout(get_state_dict(torch_layer), layout), strict=True)
    x = torch.randn(1, 5, 8)
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1)
    expected = torch_layer(*[x.transpose(0, 1)] * 3, attn_mask=mask)[0].transpose(0, 1)
    assert torch.allclose(call(loaded, x), expected, atol=1e-6)


def made_attention() -> Any:
    torch.manual_seed(0)
    return nn.MultiheadAttention(8, 2)


def test_layers_of_caten_are_those_of_torch() -> None:
    ours = Small(Conv2d(3, 4, 3), BatchNorm(4), Linear(4, 2))
    theirs = nn.ModuleDict(
        {"conv": nn.Conv2d(3, 4, 3), "norm": nn.BatchNorm2d(4), "head": nn.Linear(4, 2)}
    )
    layout = between(theirs, ours)
    assert keys(layout)["norm.weight"] == "norm.affine"
    assert not layout.notes


def test_a_world_of_one_class_says_how_its_kernel_lies() -> None:
    layer, other = nn.Linear(3, 2), Turned(np.zeros((3, 2), "f4"), np.zeros(2, "f4"))
    state = to_layout(get_state_dict(layer), between(layer, other))
    loaded = with_state(other, state, strict=True)
    assert np.array_equal(loaded.kernel, layer.weight.detach().numpy().T)


def test_a_bare_matrix_is_said_to_be_taken_as_it_lies() -> None:
    one, other = ({"fc": nn.Linear(2, 2), "table": torch.ones(3, 2)} for _ in range(2))
    (note,) = between(one, other).notes
    assert "table and table are in no layer of a known kind" in note


def test_names_that_no_layout_can_have_are_refused() -> None:
    with pytest.raises(LayoutError, match="cannot be a name"):
        between({"a b": nn.Linear(2, 2)}, {"a b": nn.Linear(2, 2)})
