"""ViT: the names in Hugging Face's files, in live models of transformers 5, and in timm.

Patches are a convolution in all three. timm stores the queries, keys and values as one matrix.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Concat
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Lacks, Row

P = "{p:weight|bias}"
ATTENTION = "encoder.layer.{i}.attention"
QKV = f"{ATTENTION}.attention.{{part:query|key|value}}"

HF = Layout(
    "hf-vit",
    architecture="vit",
    proof="transformers saves the same keys",
    prefixes=("vit.", ""),
    counts={"i": "num_hidden_layers"},
    rows=[
        Row("embeddings.cls_token", shape=(1, 1, "hidden_size")),
        Row("embeddings.position_embeddings", shape=(1, "num_patches+1", "hidden_size")),
        Row("embeddings.mask_token", shape=(1, 1, "hidden_size"), optional=True),
        Row(
            "embeddings.patch_embeddings.projection.weight",
            shape=("hidden_size", "num_channels", "patch_size", "patch_size"),
        ),
        Row("embeddings.patch_embeddings.projection.bias", shape=("hidden_size",)),
        Row(f"{QKV}.weight", shape=("hidden_size", "hidden_size")),
        Row(f"{QKV}.bias", shape=("hidden_size",), optional=True),
        Row(f"{ATTENTION}.output.dense.weight", shape=("hidden_size", "hidden_size")),
        Row(f"{ATTENTION}.output.dense.bias", shape=("hidden_size",)),
        Row(f"encoder.layer.{{i}}.layernorm_before.{P}", shape=("hidden_size",)),
        Row(f"encoder.layer.{{i}}.layernorm_after.{P}", shape=("hidden_size",)),
        Row(
            "encoder.layer.{i}.intermediate.dense.weight",
            shape=("intermediate_size", "hidden_size"),
        ),
        Row("encoder.layer.{i}.intermediate.dense.bias", shape=("intermediate_size",)),
        Row("encoder.layer.{i}.output.dense.weight", shape=("hidden_size", "intermediate_size")),
        Row("encoder.layer.{i}.output.dense.bias", shape=("hidden_size",)),
        Row(f"layernorm.{P}", shape=("hidden_size",)),
        Row("pooler.dense.weight", shape=("pooler_output_size", "hidden_size"), optional=True),
        Row("pooler.dense.bias", shape=("pooler_output_size",), optional=True),
        Row(
            "classifier.weight",
            shape=("num_labels", "hidden_size"),
            prefixed=False,
            optional=True,
        ),
        Row("classifier.bias", shape=("num_labels",), prefixed=False, optional=True),
    ],
)

HF_LIVE = Layout(
    "hf-vit-live",
    base=HF,
    proof="transformers 5 builds the same keys from its own file",
    prefixes=("vit.", ""),
    rows=[
        Row("embeddings.{name:cls_token|position_embeddings}"),
        Row("embeddings.mask_token", optional=True),
        Row(f"embeddings.patch_embeddings.projection.{P}"),
        Row(f"{ATTENTION}.attention.query.weight", "layers.{i}.attention.q_proj.weight"),
        Row(f"{ATTENTION}.attention.key.weight", "layers.{i}.attention.k_proj.weight"),
        Row(f"{ATTENTION}.attention.value.weight", "layers.{i}.attention.v_proj.weight"),
        Row(f"{ATTENTION}.attention.query.bias", "layers.{i}.attention.q_proj.bias", optional=True),
        Row(f"{ATTENTION}.attention.key.bias", "layers.{i}.attention.k_proj.bias", optional=True),
        Row(f"{ATTENTION}.attention.value.bias", "layers.{i}.attention.v_proj.bias", optional=True),
        Row(f"{ATTENTION}.output.dense.{P}", f"layers.{{i}}.attention.o_proj.{P}"),
        Row(f"encoder.layer.{{i}}.layernorm_before.{P}", f"layers.{{i}}.layernorm_before.{P}"),
        Row(f"encoder.layer.{{i}}.layernorm_after.{P}", f"layers.{{i}}.layernorm_after.{P}"),
        Row(f"encoder.layer.{{i}}.intermediate.dense.{P}", f"layers.{{i}}.mlp.fc1.{P}"),
        Row(f"encoder.layer.{{i}}.output.dense.{P}", f"layers.{{i}}.mlp.fc2.{P}"),
        Row(f"layernorm.{P}"),
        Row(f"pooler.dense.{P}", optional=True),
        Row(f"classifier.{P}", prefixed=False, optional=True),
    ],
)

TIMM = Layout(
    "timm-vit",
    base=HF,
    proof="VisionTransformer of timm gives the same logits",
    rows=[
        Row("embeddings.cls_token", "cls_token"),
        Row("embeddings.position_embeddings", "pos_embed"),
        Lacks("embeddings.mask_token", "timm keeps no token for masked patches"),
        Row(f"embeddings.patch_embeddings.projection.{P}", f"patch_embed.proj.{P}"),
        Row(
            tuple(f"{ATTENTION}.attention.{part}.weight" for part in ("query", "key", "value")),
            "blocks.{i}.attn.qkv.weight",
            Concat((1, 1, 1)),
        ),
        Row(
            tuple(f"{ATTENTION}.attention.{part}.bias" for part in ("query", "key", "value")),
            "blocks.{i}.attn.qkv.bias",
            Concat((1, 1, 1)),
            optional=True,
        ),
        Row(f"{ATTENTION}.output.dense.{P}", f"blocks.{{i}}.attn.proj.{P}"),
        Row(f"encoder.layer.{{i}}.layernorm_before.{P}", f"blocks.{{i}}.norm1.{P}"),
        Row(f"encoder.layer.{{i}}.layernorm_after.{P}", f"blocks.{{i}}.norm2.{P}"),
        Row(f"encoder.layer.{{i}}.intermediate.dense.{P}", f"blocks.{{i}}.mlp.fc1.{P}"),
        Row(f"encoder.layer.{{i}}.output.dense.{P}", f"blocks.{{i}}.mlp.fc2.{P}"),
        Row(f"layernorm.{P}", f"norm.{P}"),
        Lacks(f"pooler.dense.{P}", "timm has no pooler"),
        Row(f"classifier.{P}", f"head.{P}", optional=True),
    ],
)
