"""Layouts between two models: which layer is which, and what is said or refused."""

from __future__ import annotations

import re
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from torch import nn

from caten_sd import (
    LayoutError,
    StateDict,
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
from caten_sd.nn import Attention, BatchNorm, Conv2d, Linear, Module, Transformer, call
from caten_sd.state.state_dict import STAMP


class Net(nn.Module):
    """Layers of which two are of one shape, below others."""

    def __init__(self, body: str = "body") -> None:
        super().__init__()
        layers = [nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3)]
        self.add_module(body, nn.Sequential(*layers))
        self.head = nn.Linear(3, 2)
        self.scale = nn.Parameter(torch.ones(3))


@attrs.define
class Turned:
    """A layer of a made-up world, which says by itself how its kernel lies."""

    kernel: Any
    shift: Any

    def __layers__(self) -> tuple[StandardLayer, ...]:
        return (
            StandardLayer("dense", (Row("weight", "kernel", Transpose()), Row("bias", "shift"))),
        )


def keys(layout: Any) -> dict[str, str]:
    """Return the names that each row takes and gives."""
    return {" ".join(row.canonical_names): " ".join(row.names) for row in layout.rows}


def test_a_model_and_its_like_have_the_same_names() -> None:
    layout = between(Net(), Net())
    assert all(one == other for one, other in keys(layout).items())
    state = get_state_dict(Net())
    assert to_layout(state, layout).keys() == state.keys()


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


def test_a_layer_of_another_size_is_refused_with_both() -> None:
    with pytest.raises(LayoutError, match=r"head, dense \[2, 3\].*head, dense \[2, 4\]"):
        between({"head": nn.Linear(3, 2)}, {"head": nn.Linear(4, 2)})


@pytest.mark.parametrize(
    ("one", "other", "counts"),
    [
        (nn.MultiheadAttention(8, 2), nn.MultiheadAttention(8, 4), "2 heads, .* has 4"),
        (nn.MultiheadAttention(8, 2), Attention(8, 4), "2 heads, .* has 4"),
        (nn.GroupNorm(2, 8), nn.GroupNorm(4, 8), "2 groups, .* has 4"),
        (nn.Conv2d(4, 4, 3, groups=2), Conv2d(2, 4, 3), "2 groups, .* has 1"),
    ],
)
def test_counts_that_no_shape_tells_are_compared(one: Any, other: Any, counts: str) -> None:
    with pytest.raises(LayoutError, match=counts):
        between(one, other)


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


@attrs.define
class Small(Module):
    """The layers of Caten's that have another name for a part than torch."""

    conv: Any
    norm: Any
    head: Any


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


def test_a_bare_matrix_is_said_to_be_taken_as_it_lies() -> None:
    one, other = ({"fc": nn.Linear(2, 2), "table": torch.ones(3, 2)} for _ in range(2))
    (note,) = between(one, other).notes
    assert "table and table are in no layer of a known kind" in note


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


class TestAFile:
    """A state dict whose names alone are known, and a live model."""

    def test_a_file_of_torch_is_put_into_a_model_of_another_world(self) -> None:
        model = nn.ModuleDict({"conv": nn.Conv2d(3, 5, 3), "norm": nn.BatchNorm2d(5)})
        file = StateDict(dict(get_state_dict(model)))
        ours = Small(Conv2d(3, 5, 3), BatchNorm(5), None)
        assert keys(between(file, ours))["norm.weight"] == "norm.affine"

    def test_names_of_flax_are_known_without_flax(self) -> None:
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

    def test_frameworks_that_differ_are_refused_until_one_is_named(self) -> None:
        model = {"conv": nn.Conv2d(3, 3, 3, bias=False)}
        file = StateDict({"conv.weight": np.zeros((3, 3, 3, 3), "f4")})
        with pytest.raises(LayoutError, match="world='torch' or world='mlx'"):
            between(file, model)
        (row,) = between(file, model, world="mlx").rows
        assert row.operation == Transpose((0, 3, 1, 2))

    def test_a_transposed_kernel_whose_shape_does_not_tell_is_refused(self) -> None:
        model = {"up": nn.ConvTranspose2d(3, 3, 3)}
        kernel = np.zeros((3, 3, 3, 3), "f4")
        file = StateDict({"up.kernel": kernel, "up.bias": np.zeros(3, "f4")})
        with pytest.raises(LayoutError, match="two ways"):
            between(file, model)

    def test_an_embedding_and_a_dense_layer_of_one_shape_are_told_by_their_names(self) -> None:
        model = {"embed": nn.Embedding(5, 3), "out": nn.Linear(3, 5, bias=False)}
        leaf = np.zeros((5, 3), "f4")
        file = StateDict({"tokens.weight": leaf, "scores.weight": leaf + 1})
        with pytest.raises(LayoutError, match=r"names=\{"):
            between(file, model)
        names = {"tokens": "embed", "scores": "out"}
        assert keys(between(file, model, names=names))["tokens.weight"] == "embed.weight"
        back = {there: here for here, there in names.items()}
        assert keys(between(model, file, names=back))["out.weight"] == "scores.weight"

    def test_names_that_orbax_ends_in_value_are_those_of_flax(self) -> None:
        file = StateDict({"out.kernel.value": np.zeros((3, 2), "f4")})
        layout = between(file, {"out": nn.Linear(3, 2, bias=False)})
        assert keys(layout) == {"out.kernel.value": "out.weight"}

    def test_a_part_that_a_file_has_lost_is_not_made_up(self) -> None:
        file, model = StateDict({"fc.weight": np.zeros((2, 3), "f4")}), {"fc": nn.Linear(3, 2)}
        with pytest.raises(LayoutError, match="fc has no bias, as fc has"):
            between(file, model)
        live = {"fc": nn.Linear(3, 2, bias=False)}
        assert between(live, model).notes == ("fc: bias is filled with 0",)
        back = to_layout(get_state_dict(live), between(live, file))
        assert list(back) == ["fc.weight"]

    def test_an_object_of_no_known_kind_is_not_taken_by_its_names(self) -> None:
        @attrs.define
        class Product:
            kernel: Any

        with pytest.raises(LayoutError, match="Product has no layer of a known kind"):
            between(Product(np.zeros((2, 2), "f4")), nn.Linear(2, 2, bias=False))

    def test_values_do_not_decide_which_layer_is_which(self) -> None:
        """A file of Equinox whose statistics only the model can correct is refused as that."""
        names = ("weight", "bias", "batch_state_index.0", "batch_state_index.1")
        leaves = {f"norm.{name}": np.ones(3, "f4") for name in names}
        file = StateDict({**leaves, "norm.batch_counter": np.array(7)})
        layout = between(file, {"norm": nn.BatchNorm1d(3)}, world="equinox")
        with pytest.raises(LayoutError, match="counted 7 batches"):
            to_layout(file, layout)

    def test_two_files_are_refused(self) -> None:
        with pytest.raises(LayoutError, match="give a live model"):
            between(flax_file(5), flax_file(5))

    def test_a_world_that_is_unknown_or_not_needed_is_refused(self) -> None:
        with pytest.raises(LayoutError, match=r"world= or --from is 'jax', .* one of"):
            between(flax_file(5), nn.Linear(3, 2), world="jax")
        with pytest.raises(LayoutError, match="leave out world= or --from"):
            between(nn.Linear(3, 2), nn.Linear(3, 2), world="torch")


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


def test_names_that_no_layout_can_have_are_refused() -> None:
    with pytest.raises(LayoutError, match="cannot be a name"):
        between({"a b": nn.Linear(2, 2)}, {"a b": nn.Linear(2, 2)})


def test_transformers_of_caten_are_matched_as_a_whole() -> None:
    model = Transformer(32, 2, 2, 1e-5, 32)
    layout = between(model, Transformer(32, 2, 2, 1e-5, 32))
    assert keys(layout)["h.1.attn.c_attn.weight"] == "h.1.attn.c_attn.weight"
    assert len(layout.rows) == len(get_state_dict(model))
