"""The table of causes that no line settles each time, of loads without one, and of fits."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrizations

from tests.loading.cause_models import (
    NORMS,
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
    moments,
    named,
    normal,
    numbered_layers,
    oblong,
    of,
    packed,
    padded,
    plus,
    pruned,
    raw,
    renumbered,
    shifted,
    split,
    square,
    turned,
    under,
    without,
)


class FrozenBatchNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.zeros(6))


def encoder_and_head() -> nn.Module:
    return Dict({"encoder": Linear(4, 5), "head": Linear(5, 3)})


def first_half(file: dict[str, Any]) -> dict[str, Any]:
    return dict(list(file.items())[:18])


QKV = ("attn.in_proj_", "attn.{}_proj.", "weight", "bias")

UNFIXED: list[Row] = [
    Row("raw_elements", "bfloat16 of MLX", of(oblong, change=raw)),
    Row("_tied", "two values for one", of(lambda: Decoder(tied=True), Decoder)),
    Row("_other_kind", "an optimizer's state", of(oblong, change=moments)),
    Row("_other_kind", "an adapter", of(oblong, change=lambda file: {
        f"0.lora_{each}.weight": torch.ones(2, 2) for each in "AB"})),
    Row("_other_kind", "an adapter beside its base", of(lambda: heads("q", "k"), change=chained(
        below("base_model.model."), named(".q.", ".q.base_layer."),
        plus(base_model__model__q__lora_A__default__weight=torch.ones(2, 8))))),
    Row("_other_kind", "an adapter beside plain names", of(lambda: heads("q", "k"), change=plus(
        q__lora_A=torch.ones(2, 8), q__lora_B=torch.ones(8, 2)))),
    Row("_other_kind", "quantized", of(lambda: Linear(4, 4), change=chained(
        mapped(lambda leaf: leaf.to(torch.int8), 2), plus(SCB=torch.ones(4))))),
    Row("_other_kind", "quantized as MLX does", of(lambda: Linear(4, 4), change=chained(
        mapped(lambda leaf: leaf.to(torch.uint8), 2),
        plus(scales=torch.ones(4, 1), biases=torch.ones(4, 1))))),
    Row("packed_slots", "floats for a quantized model", of(packed, lambda: Linear(16, 4))),
    Row("normed_weights", "orthogonal", of(square, lambda: Sequential(
        parametrizations.orthogonal(Linear(4, 4)), Linear(4, 4)))),
    Row("normed_weights", "below a prefix, and something else is missing", of(square, lambda:
        Sequential(parametrizations.weight_norm(Linear(4, 4))), below("model."))),
    *(
        Row("normed_slots", words, of(under(norm, conv), lambda: Sequential(conv())))
        for words, norm in NORMS.items() if "axis" not in words
    ),
    Row("normed_slots", "pruned", of(pruned, lambda: Sequential(Linear(4, 5)))),
    Row("several_trees", "student, teacher", of(square, change=below("student.", "teacher."))),
    Row("several_trees", "a model and its average", of(Decoder, change=below("ema.", "model."))),
    Row("vocabulary", "of another tokenizer", of(Decoder, lambda: Decoder(tokens=57))),
    Row("vocabulary", "classes", of(lambda: heads("fc", out=10, bias=False),
        lambda: heads("fc", out=64, bias=False))),
    Row("vocabulary", "positions", of(Decoder, lambda: Decoder(positions=32))),
    Row("vocabulary", "relative positions", of(lambda: Table("relative_position_table", 49, 4),
        lambda: Table("relative_position_table", 64, 4))),
    Row("vocabulary", "padded, and some biases are lost", of(
        lambda: Dict({"emb": nn.Embedding(50, 8), "a": Linear(8, 6), "b": Linear(8, 6)}),
        change=chained(padded, without("a.bias")))),
    Row("turned_matrices", "square, too", of(lambda: Sequential(Linear(4, 4), Linear(4, 5)),
        change=turned)),
    Row("turned_matrices", "and names differ", of(flax_names, change=chained(
        mapped(torch.t, 2, "fc"), without("ln"), plus(norm__weight=torch.ones(6))))),
    Row("unit_axes", "and names differ", of(convolution_and_norm, change=chained(
        mapped(lambda leaf: leaf[:, :, None], 4), without("bn."), plus(norm=torch.ones(6))))),
    Row("counted_from_elsewhere", "as a stage of a pipeline", of(layers, change=shifted(3))),
    Row("without_names", "equal shapes", of(square, change=listed)),
    Row("without_names", "a square matrix", of(
        lambda: Sequential(Linear(5, 5, bias=False), Linear(5, 6)), change=listed)),
    Row("flax_kernels", "as a transposed convolution", of(
        lambda: Sequential(nn.Conv2d(4, 4, 3)), change=as_flax)),
    Row("_renamed", "a square matrix of another name", of(square, change=named(
        "weight", "matrix"))),
    Row("numbers_elsewhere", "a square matrix of another name", of(layers, change=named(
        "h.", "h_", "weight", "matrix"))),
    Row("_renamed", "layers counted from 0, and one more number", of(numbered_layers, change=
        chained(renumbered("layer", 0), plus(x1=torch.ones(3))))),
    Row("_other_names", "layer_3 for h.0, as a stage of a pipeline", of(layers, change=chained(
        shifted(3), named("h.", "layer_")))),
    Row("_renamed", "last names, transposed", of(lambda: Dict({"fc": Linear(4, 5)}), change=chained(
        turned, named(".weight", ".w", ".bias", ".b")))),
    Row("joined_projections", "qkv apart", of(lambda: Dict({"qkv": Linear(8, 24)}),
        change=split("qkv.", "{}.", "weight", "bias"))),
    Row("joined_projections", "q, k, v joined", of(lambda: heads("q_proj", "k_proj", "v_proj"),
        change=joined("{}_proj.", "qkv_proj.", "weight", "bias"))),
    Row("joined_projections", "torch's own, and other names differ", of(lambda: attention(
        fc=Linear(4, 5)), change=chained(split(*QKV), named("fc.", "last.")))),
    Row("joined_projections", "gate and up joined", of(
        lambda: heads("gate_proj", "up_proj", out=16, bias=False), change=lambda file: {
        "gate_up_proj.weight": torch.cat([file["gate_proj.weight"], file["up_proj.weight"]])})),
    *(
        Row("joined_axes", words, of(inner, change=mapped(change, rank, "weight")))
        for words, inner, rank, change in (
            ("a flat kernel", conv, 4, lambda leaf: leaf.flatten(1)),
            ("a flat kernel of Flax", conv, 4, lambda leaf: leaf.permute(0, 2, 3, 1).flatten(1)),
            ("a flat kernel of one axis", lambda: nn.Conv1d(4, 6, 3), 3,
                lambda leaf: leaf.flatten(1)),
            ("a flat kernel of three axes", lambda: nn.Conv3d(4, 6, 3), 5,
                lambda leaf: leaf.flatten(1)),
            ("a kernel for a linear layer", lambda: Linear(36, 6), 2,
                lambda leaf: leaf.reshape(6, 4, 3, 3)),
            ("heads apart", lambda: heads("q", "k", out=12), 2, lambda leaf: leaf.reshape(3, 4, 8)),
        )
    ),
    *(
        Row("unit_axes", f"square, {file} for {model}", of(lambda model=model: Table("w", *model),
            lambda file=file: Table("w", *file)))
        for file, model in (((1, 4, 4), (4, 4)), ((1, 4, 4), (4, 4, 1)), ((4, 4), (1, 4, 4)))
    ),
    *(
        Row("other_sizes", f"positions {file} for {model}", of(
            lambda model=model: Table("pos_embed", *model),
            lambda file=file: Table("pos_embed", *file)))
        for file, model in (
            ((1, 26, 8), (1, 17, 8)), ((1, 17, 8), (1, 26, 8)), ((26, 8), (1, 17, 8)),
            ((1, 26, 8), (17, 8)), ((26, 1, 8), (17, 1, 8)), ((1, 8, 6, 6), (1, 8, 4, 4)),
            ((1, 6, 6, 8), (1, 4, 4, 8)),
        )
    ),
    Row("other_sizes", "positions and classes", of(
        lambda: Dict({"pos": Table("pos_embed", 1, 17, 8), "head": Linear(8, 10)}),
        lambda: Dict({"pos": Table("pos_embed", 1, 26, 8), "head": Linear(8, 100)}))),
    Row("other_sizes", "more layers", of(lambda: Decoder(2), Decoder)),
    Row("other_sizes", "classes with a bias", of(
        lambda: Dict({"body": Linear(8, 6), "fc": Linear(6, 10)}),
        lambda: Dict({"body": Linear(8, 6), "fc": Linear(6, 100)}))),
    Row("_other_names", "nothing in common", of(oblong, change=lambda file: {
        "x": torch.zeros(3), "y": torch.zeros(2)})),
    Row("_other_names", "two modules of equal shapes", of(lambda: heads("encoder", "decoder"),
        change=named("encoder.", "enc.", "decoder.", "dec."))),
    Row("_other_names", "experts in one tensor", of(
        lambda: Dict({"experts": nn.ModuleList([Linear(4, 5, bias=False) for _ in range(3)])}),
        change=lambda file: {"experts.weight": torch.stack(list(file.values()))})),
]  # fmt: skip
WITHOUT_CAUSE: list[Row] = [
    Row("", "a scale that says nothing of quantization", of(oblong, change=plus(
        **{"0__weight_scale": torch.ones(5)}))),
    Row("", "a batch norm for a frozen one", of(lambda: normal(FrozenBatchNorm), normal)),
    Row("", "a batch norm for a group norm", of(
        lambda: normal(lambda: nn.GroupNorm(2, 6)), normal)),
    Row("", "a batch norm without its statistics", of(normal, lambda: normal(
        lambda: nn.BatchNorm2d(6, track_running_stats=False)))),
    Row("", "an extra head", of(Decoder, change=plus(score__weight=torch.zeros(2, 8)))),
    Row("", "a buffer of another version", of(oblong, change=plus(rotary__inv_freq=torch.ones(4)))),
    Row("", "no head", of(encoder_and_head, change=without("head"))),
    Row("", "another head", of(encoder_and_head, change=chained(without("head"), plus(
        cls__weight=torch.ones(9, 5), cls__bias=torch.ones(9))))),
    Row("", "no biases", of(oblong, change=without("bias"))),
    Row("", "a tied head left out, and a model that does not tie", of(Decoder,
        lambda: Decoder(tied=True), without("lm_head"))),
    Row("", "half of the layers", of(lambda: Decoder(4), change=without("h.1.", "h.2."))),
    Row("", "the first half", of(lambda: Decoder(4), change=first_half)),
    Row("", "the encoder twice", of(encoder_and_head, change=lambda file: {
        **below("q.", "k.")(without("head")(file)), **without("encoder")(file)})),
    Row("", "a table of three axes that is not of positions", of(lambda: Table("memory", 1, 17, 8),
        lambda: Table("memory", 1, 26, 8))),
    Row("", "groups", of(conv, lambda: nn.Conv2d(4, 6, 3, groups=2))),
    Row("", "a float for an integer", of(lambda: nn.BatchNorm1d(3), change=plus(
        num_batches_tracked=torch.tensor(1.5)))),
]  # fmt: skip
FITTING: list[Row] = [
    Row("", "DistributedDataParallel and compile", of(Decoder, change=below("module._orig_mod."))),
    Row("", "AveragedModel", of(Decoder, change=chained(below("module."), plus(
        n_averaged=torch.tensor(3))))),
    Row("", "compile of a child", of(encoder_and_head, change=named("head.", "head._orig_mod."))),
    Row("", "SyncBatchNorm", of(normal, lambda: nn.SyncBatchNorm.convert_sync_batchnorm(normal()))),
    Row("", "a frozen batch norm for a batch norm", of(normal, change=without("num_batches"))),
    Row("", "a tied head left out", of(lambda: Decoder(tied=True), change=without("lm_head"))),
]  # fmt: skip
