"""The table of causes that a line settles: the line gives the true model each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrizations

from caten_sd.mapping.layout_plan import to_layout
from caten_sd.nn.transformer import Transformer
from caten_sd.objects.extract import get_state_dict
from caten_sd.state.leaf import Torch, as_array
from tests.loading.cause_models import (
    NORMS,
    Built,
    Decoder,
    Dict,
    Linear,
    Row,
    Sequential,
    Table,
    as_flax,
    attention,
    below,
    chained,
    conv,
    convolution_and_norm,
    flax_names,
    heads,
    joined,
    layers,
    listed,
    mapped,
    named,
    normal,
    numbered_layers,
    oblong,
    of,
    padded,
    plus,
    pruned,
    renumbered,
    shifted,
    split,
    square,
    turned,
    turned_conv,
    under,
)


def gpt2() -> Any:
    return Transformer(16, 2, 2, 1e-5, 24)


def other_layout() -> Built:
    torch.manual_seed(1)
    true = gpt2()
    file = to_layout(get_state_dict(true), "hf-gpt2")
    return Built(true, gpt2(), {key: as_array(Torch(), file[key]).detach() for key in file})


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = Linear(8, 8), Linear(8, 8), Linear(8, 8)
        self.out_proj = Linear(8, 8)


def batch_stats(file: dict[str, Any]) -> dict[str, Any]:
    names = {
        "params.c.bias": "c.bias",
        "params.bn.scale": "bn.weight",
        "params.bn.bias": "bn.bias",
        "batch_stats.bn.mean": "bn.running_mean",
        "batch_stats.bn.var": "bn.running_var",
    }
    kernel = file["c.weight"].permute(2, 3, 1, 0).contiguous()
    return {"params.c.kernel": kernel, **{new: file[old] for new, old in names.items()}}


def mlx(file: dict[str, Any]) -> dict[str, Any]:
    """Return the file as MLX writes it, which counts no batches."""
    left = {key: leaf for key, leaf in file.items() if "num_batches" not in key}
    return {**left, "c.weight": file["c.weight"].permute(0, 2, 3, 1).contiguous()}


def flax_attention(file: dict[str, Any]) -> dict[str, Any]:
    made = {"params.a.out.bias": file["a.out_proj.bias"]}
    made["params.a.out.kernel"] = file["a.out_proj.weight"].reshape(8, 2, 4).permute(1, 2, 0)
    weights, biases = (file[f"a.in_proj_{name}"].chunk(3) for name in ("weight", "bias"))
    for name, weight, bias in zip(("query", "key", "value"), weights, biases, strict=True):
        made[f"params.a.{name}.kernel"] = weight.reshape(2, 4, 8).permute(2, 0, 1)
        made[f"params.a.{name}.bias"] = bias.reshape(2, 4)
    return {key: leaf.contiguous() for key, leaf in made.items()}


def flat_average(file: dict[str, Any]) -> dict[str, Any]:
    average = {f"model_ema.{key.replace('.', '')}": leaf + 1 for key, leaf in file.items()}
    return {**below("model.")(file), **average}


def bare(inner: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return under(lambda module: module, inner)


QKV = ("attn.in_proj_", "attn.{}_proj.", "weight", "bias")
S1 = 'x": ""}); print("RAN") #.'

FIXED: list[Row] = [
    *(
        Row("normed_weights", f"{words} {inner.__name__}", of(bare(inner), under(norm, inner)))
        for words, norm in NORMS.items()
        for inner in (conv, turned_conv, lambda: Linear(4, 4))
    ),
    Row("normed_weights", "one of two", of(square, lambda: Sequential(
        parametrizations.weight_norm(Linear(4, 4)), Linear(4, 4)))),
    *(
        Row("normed_weights", f"below {prefix}", of(lambda: Sequential(conv()),
            under(parametrizations.weight_norm, conv), below(prefix)))
        for prefix in ("model.", "module.", "model.0.")
    ),
    Row("normed_weights", "pruned", of(lambda: Sequential(Linear(4, 5)), pruned)),
    Row("_training", "a training state", of(oblong, change=chained(below("model."), plus(
        optimizer__0__exp_avg=torch.zeros(5, 4), step=torch.tensor(3))))),
    Row("_other_layout", "hf-gpt2", other_layout),
    Row("vocabulary", "padded in the file", of(Decoder, change=padded)),
    Row("vocabulary", "padded, and without biases", of(
        lambda: Dict({"emb": nn.Embedding(50, 8), "fc": Linear(8, 6)}),
        lambda: Dict({"emb": nn.Embedding(50, 8), "fc": Linear(8, 6, bias=False)}), padded)),
    Row("other_world", "convolutions of MLX", of(
        lambda: Dict({"c": nn.Conv2d(4, 5, 3), "bn": nn.BatchNorm2d(5)}), change=mlx)),
    Row("other_world", "attention of Flax", of(
        lambda: Dict({"a": nn.MultiheadAttention(8, 2)}), change=flax_attention)),
    Row("flax_kernels", "square", of(square, change=as_flax)),
    Row("flax_kernels", "oblong", of(oblong, change=as_flax)),
    Row("flax_kernels", "conv", of(lambda: Sequential(conv()), change=as_flax)),
    Row("flax_kernels", "depthwise", of(lambda: Sequential(nn.Conv2d(6, 6, 3, groups=6)),
        change=as_flax)),
    Row("flax_kernels", "beside another key", of(oblong, change=chained(as_flax, plus(
        step=torch.tensor(3))))),
    Row("flax_kernels", "scale and embedding", of(flax_names, change=chained(
        mapped(torch.t, 2, "fc"), named("fc.weight", "fc.kernel", "ln.weight", "ln.scale",
        "emb.weight", "emb.embedding")))),
    Row("flax_kernels", "params and batch_stats", of(convolution_and_norm, change=batch_stats)),
    Row("flax_kernels", "layers_0", of(lambda: Dict({"layers": oblong()}), change=chained(
        as_flax, named("layers.", "layers_")))),
    Row("flax_kernels", "fc/kernel:0", of(lambda: Dict({"fc": Linear(3, 4)}), change=chained(
        as_flax, named("fc.kernel", "fc/kernel:0", "fc.bias", "fc/bias:0")))),
    Row("flax_kernels", "gamma and beta", of(flax_names, change=named(
        "ln.weight", "ln.gamma", "ln.bias", "ln.beta"))),
    Row("flax_kernels", "moving_mean", of(normal, change=named(
        "running_mean", "moving_mean", "running_var", "moving_variance"))),
    Row("turned_matrices", "oblong", of(oblong, change=turned)),
    Row("turned_matrices", "some, as Conv1D of GPT-2", of(Decoder, change=mapped(
        torch.t, 2, "h."))),
    Row("turned_matrices", "an embedding", of(flax_names, change=mapped(torch.t, 2, "emb"))),
    Row("counted_from_elsewhere", "from 1", of(layers, change=shifted(1))),
    Row("counted_from_elsewhere", "from 1, others agree", of(Decoder, change=shifted(1))),
    Row("without_names", "a list", of(oblong, change=listed)),
    Row("unit_axes", "1x1 convolutions", of(oblong, change=mapped(
        lambda leaf: leaf[..., None, None], 2))),
    Row("unit_axes", "a linear layer for a 1x1 convolution", of(lambda: nn.Conv2d(8, 8, 1),
        change=mapped(lambda leaf: leaf[..., 0, 0], 4))),
    Row("unit_axes", "depthwise", of(lambda: nn.Conv1d(6, 6, 3, groups=6),
        change=mapped(lambda leaf: leaf.transpose(0, 1), 3))),
    *(
        Row("unit_axes", f"positions {file} for {model}", of(lambda model=model: Table(
            "pos_embed", *model), change=mapped(lambda leaf, file=file: leaf.reshape(file), rank,
            "pos")))
        for rank, file, model in ((2, (1, 17, 8), (17, 8)), (3, (17, 8), (1, 17, 8)),
                                  (3, (17, 1, 8), (1, 17, 8)))
    ),
    Row("unit_axes", "Conv1d for a linear layer", of(square, change=mapped(
        lambda leaf: leaf[..., None], 2))),
    Row("unit_axes", "a linear layer for Conv1d", of(lambda: Sequential(nn.Conv1d(8, 8, 1)),
        change=mapped(lambda leaf: leaf[..., 0], 3))),
    Row("unit_axes", "leading", of(lambda: Table("cls", 1, 1, 8), change=mapped(
        lambda leaf: leaf.reshape(8), 3))),
    *(
        Row("_renamed", f"below {prefix}", of(Decoder, change=below(prefix)))
        for prefix in ("model.", "ema_model.", "module.model.", "base_model.model.",
                       "model.module._orig_mod.", "0.auto_model.", "a b.it's.", S1)
    ),
    Row("_renamed", "a list below a prefix", of(layers, change=named("h.", "model.h."))),
    Row("_renamed", "beside the flat names of an EMA", of(Decoder, change=flat_average)),
    Row("_renamed", "a module in every layer", of(Decoder, change=named(
        "h.", "layers.", "attn.", "attention."))),
    Row("_renamed", "last names, oblong", of(oblong, change=named(".weight", ".w", ".bias", ".b"))),
    Row("_renamed", "a kernel in torch's order", of(oblong, change=named("weight", "kernel"))),
    Row("_renamed", "a part of the model", of(lambda: Dict({"backbone": Decoder()}),
        change=named("backbone.", ""))),
    Row("inserted_segment", "base_layer", of(oblong, change=named(".", ".base_layer."))),
    Row("inserted_segment", "base_layer of some, below a prefix", of(lambda: heads("q", "k"),
        change=chained(below("base_model.model."), named(".q.", ".q.base_layer.")))),
    Row("inserted_segment", "base_layer in every layer", of(Decoder, change=chained(
        below("base_model.model."), named(".attn.", ".attn.base_layer.")))),
    Row("spelled_otherwise", "slashes", of(Decoder, change=named(".", "/"))),
    Row("spelled_otherwise", "all in upper case", of(oblong, change=lambda file: {
        key.upper(): leaf for key, leaf in file.items()})),
    Row("spelled_otherwise", "Conv for conv", of(lambda: heads("conv", "fc"), change=named(
        "conv", "Conv"))),
    Row("spelled_otherwise", "outProj for out_proj", of(lambda: heads("out_proj", "in_proj"),
        change=named("out_proj", "outProj", "in_proj", "inProj"))),
    Row("spelled_otherwise", "layers_0 for layers.0", of(lambda: Dict({"layers": square()}),
        change=named("layers.", "layers_"))),
    *(
        Row("numbers_elsewhere", f"{start}0 for h.0", of(Decoder, change=named("h.", start)))
        for start in ("layer_", "layers_", "block", "encoder.layer_", "enc-", "layers.block")
    ),
    *(
        Row("numbers_elsewhere", f"{start}1 for h.0", of(layers, change=chained(
            shifted(1), named("h.", start))))
        for start in ("layer_", "h_", "block")
    ),
    *(
        Row("numbers_elsewhere", f"{start}{first} for layer1", of(numbered_layers, change=
            renumbered(start, first)))
        for start, first in (("layers.", 0), ("layer", 0), ("h_", 0), ("blocks.", 1))
    ),
    Row("numbers_elsewhere", "below a prefix, counted from 1", of(Decoder, change=chained(
        shifted(1), below("model.")))),
    Row("numbers_elsewhere", "below a prefix", of(Decoder, change=chained(
        named("h.", "layer_"), below("model.")))),
    Row("numbers_elsewhere", "h.00 for h.0", of(Decoder, change=named("h.", "h.0"))),
    Row("numbers_elsewhere", "norm1 for ln_1", of(Decoder, change=named(
        "h.", "layer_", "ln_1", "norm1"))),
    Row("numbers_elsewhere", "two lists", of(lambda: Dict({"s": nn.ModuleList([layers()["h"],
        layers()["h"]])}), change=named("s.0.", "stage0_block", "s.1.", "stage1_block"))),
    Row("joined_projections", "torch's own, apart", of(lambda: nn.MultiheadAttention(8, 2),
        change=split("in_proj_", "{}_proj_", "weight"))),
    Row("joined_projections", "torch's own for q_proj, k_proj, v_proj", of(attention,
        change=split(*QKV))),
    Row("joined_projections", "q_proj, k_proj, v_proj for torch's own", of(
        lambda: Dict({"attn": Attention()}), change=joined(QKV[1], QKV[0], *QKV[2:]))),
    Row("by_shapes", "numbers for names", of(lambda: Dict({"conv": conv(), "fc": Linear(4, 5)}),
        change=named("conv.", "0.", "fc.", "2."))),
    Row("by_shapes", "a layer without parameters between", of(
        lambda: Sequential(Linear(4, 5), nn.ReLU(), Linear(5, 6)), change=named("2.", "1."))),
]  # fmt: skip
