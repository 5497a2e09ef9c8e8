"""The architectures t5, t5-relu, t5encoder and t5encoder-relu, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.extension import extend
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_T5 = Layout(
    "hf-t5",
    architecture="t5/mt5/umt5",
    counts={"i": "num_layers", "j": "num_decoder_layers"},
    proof=PROOF,
    rows=[
        Row("decoder.block.{j}.layer.0.SelfAttention.k.weight"),
        Row("decoder.block.{j}.layer.0.SelfAttention.o.weight"),
        Row("decoder.block.{j}.layer.0.SelfAttention.q.weight"),
        Row(
            "decoder.block.{j}.layer.0.SelfAttention.relative_attention_bias.weight",
            in_some_layers=True,
        ),
        Row("decoder.block.{j}.layer.0.SelfAttention.v.weight"),
        Row("decoder.block.{j}.layer.0.layer_norm.weight"),
        Row("decoder.block.{j}.layer.1.EncDecAttention.k.weight"),
        Row("decoder.block.{j}.layer.1.EncDecAttention.o.weight"),
        Row("decoder.block.{j}.layer.1.EncDecAttention.q.weight"),
        Row("decoder.block.{j}.layer.1.EncDecAttention.v.weight"),
        Row("decoder.block.{j}.layer.1.layer_norm.weight"),
        Row("decoder.block.{j}.layer.2.DenseReluDense.wi_0.weight"),
        Row("decoder.block.{j}.layer.2.DenseReluDense.wi_1.weight"),
        Row("decoder.block.{j}.layer.2.layer_norm.weight"),
        Row("decoder.final_layer_norm.weight"),
        Row("encoder.block.{i}.layer.0.SelfAttention.k.weight"),
        Row("encoder.block.{i}.layer.0.SelfAttention.o.weight"),
        Row("encoder.block.{i}.layer.0.SelfAttention.q.weight"),
        Row(
            "encoder.block.{i}.layer.0.SelfAttention.relative_attention_bias.weight",
            in_some_layers=True,
        ),
        Row("encoder.block.{i}.layer.0.SelfAttention.v.weight"),
        Row("encoder.block.{i}.layer.0.layer_norm.weight"),
        Row("encoder.block.{i}.layer.1.DenseReluDense.wi_0.weight"),
        Row("encoder.block.{i}.layer.1.DenseReluDense.wi_1.weight"),
        Row("encoder.block.{i}.layer.1.layer_norm.weight"),
        Row("encoder.final_layer_norm.weight"),
        Row("shared.weight"),
        Row("decoder.block.{j}.layer.2.DenseReluDense.wo.weight", shape=("d_model", "d_ff")),
        Row("encoder.block.{i}.layer.1.DenseReluDense.wo.weight", shape=("d_model", "d_ff")),
        Row("lm_head.weight", tied="shared.weight", untied=UNTIED),
    ],
)


HF_MT5 = extend(
    HF_T5,
    "hf-mt5",
    base=HF_T5,
    model_types=["mt5"],
    proof=PROOF,
)


HF_UMT5 = extend(
    HF_T5,
    "hf-umt5",
    base=HF_T5,
    model_types=["umt5"],
    proof=PROOF,
)


GGUF_T5 = Layout(
    "gguf-t5",
    base=HF_T5,
    model_types=["t5"],
    metadata={"general.architecture": "t5"},
    sizes={
        "t5.block_count": "num_layers",
        "t5.embedding_length": "d_model",
        "t5.feed_forward_length": "d_ff",
        "t5.attention.head_count": "num_heads",
        "t5.attention.key_length": "d_kv",
        "t5.decoder_block_count": "num_decoder_layers",
        "t5.context_length": 512,
        "t5.attention.value_length": "d_kv",
        "t5.attention.relative_buckets_count": "relative_attention_num_buckets",
        "t5.attention.layer_norm_rms_epsilon": "layer_norm_epsilon",
        "t5.decoder_start_token_id": "decoder_start_token_id or 0",
    },
    proof=PROOF,
    rows=[
        Row("decoder.block.{j}.layer.0.SelfAttention.k.weight", "dec.blk.{j}.attn_k.weight"),
        Row("decoder.block.{j}.layer.0.SelfAttention.o.weight", "dec.blk.{j}.attn_o.weight"),
        Row("decoder.block.{j}.layer.0.SelfAttention.q.weight", "dec.blk.{j}.attn_q.weight"),
        Row(
            "decoder.block.{j}.layer.0.SelfAttention.relative_attention_bias.weight",
            "dec.blk.{j}.attn_rel_b.weight",
            in_some_layers=True,
        ),
        Row("decoder.block.{j}.layer.0.SelfAttention.v.weight", "dec.blk.{j}.attn_v.weight"),
        Row("decoder.block.{j}.layer.0.layer_norm.weight", "dec.blk.{j}.attn_norm.weight"),
        Row(
            "decoder.block.{j}.layer.1.EncDecAttention.k.weight", "dec.blk.{j}.cross_attn_k.weight"
        ),
        Row(
            "decoder.block.{j}.layer.1.EncDecAttention.o.weight", "dec.blk.{j}.cross_attn_o.weight"
        ),
        Row(
            "decoder.block.{j}.layer.1.EncDecAttention.q.weight", "dec.blk.{j}.cross_attn_q.weight"
        ),
        Row(
            "decoder.block.{j}.layer.1.EncDecAttention.v.weight", "dec.blk.{j}.cross_attn_v.weight"
        ),
        Row("decoder.block.{j}.layer.1.layer_norm.weight", "dec.blk.{j}.cross_attn_norm.weight"),
        Row("decoder.block.{j}.layer.2.DenseReluDense.wi_0.weight", "dec.blk.{j}.ffn_gate.weight"),
        Row("decoder.block.{j}.layer.2.DenseReluDense.wi_1.weight", "dec.blk.{j}.ffn_up.weight"),
        Row("decoder.block.{j}.layer.2.layer_norm.weight", "dec.blk.{j}.ffn_norm.weight"),
        Row("decoder.final_layer_norm.weight", "dec.output_norm.weight"),
        Row("encoder.block.{i}.layer.0.SelfAttention.k.weight", "enc.blk.{i}.attn_k.weight"),
        Row("encoder.block.{i}.layer.0.SelfAttention.o.weight", "enc.blk.{i}.attn_o.weight"),
        Row("encoder.block.{i}.layer.0.SelfAttention.q.weight", "enc.blk.{i}.attn_q.weight"),
        Row(
            "encoder.block.{i}.layer.0.SelfAttention.relative_attention_bias.weight",
            "enc.blk.{i}.attn_rel_b.weight",
            in_some_layers=True,
        ),
        Row("encoder.block.{i}.layer.0.SelfAttention.v.weight", "enc.blk.{i}.attn_v.weight"),
        Row("encoder.block.{i}.layer.0.layer_norm.weight", "enc.blk.{i}.attn_norm.weight"),
        Row("encoder.block.{i}.layer.1.DenseReluDense.wi_0.weight", "enc.blk.{i}.ffn_gate.weight"),
        Row("encoder.block.{i}.layer.1.DenseReluDense.wi_1.weight", "enc.blk.{i}.ffn_up.weight"),
        Row("encoder.block.{i}.layer.1.layer_norm.weight", "enc.blk.{i}.ffn_norm.weight"),
        Row("encoder.final_layer_norm.weight", "enc.output_norm.weight"),
        Row("shared.weight", "token_embd.weight"),
        Row("decoder.block.{j}.layer.2.DenseReluDense.wo.weight", "dec.blk.{j}.ffn_down.weight"),
        Row("encoder.block.{i}.layer.1.DenseReluDense.wo.weight", "enc.blk.{i}.ffn_down.weight"),
        Row("lm_head.weight", "output.weight", tied="shared.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)


HF_T5_RELU = extend(
    HF_T5,
    "hf-t5-relu",
    architecture="t5",
    model_types=["t5"],
    proof=PROOF,
    without=[
        "decoder.block.{j}.layer.2.DenseReluDense.wi_0.weight",
        "decoder.block.{j}.layer.2.DenseReluDense.wi_1.weight",
        "encoder.block.{i}.layer.1.DenseReluDense.wi_0.weight",
        "encoder.block.{i}.layer.1.DenseReluDense.wi_1.weight",
    ],
    rows=[
        Row("decoder.block.{j}.layer.2.DenseReluDense.wi.weight", shape=("d_ff", "d_model")),
        Row("encoder.block.{i}.layer.1.DenseReluDense.wi.weight", shape=("d_ff", "d_model")),
    ],
)


GGUF_T5_RELU = extend(
    GGUF_T5,
    "gguf-t5-relu",
    base=HF_T5_RELU,
    model_types=["t5"],
    metadata={"general.architecture": "t5"},
    proof=PROOF,
    without=[
        "decoder.block.{j}.layer.2.DenseReluDense.wi_0.weight",
        "decoder.block.{j}.layer.2.DenseReluDense.wi_1.weight",
        "encoder.block.{i}.layer.1.DenseReluDense.wi_0.weight",
        "encoder.block.{i}.layer.1.DenseReluDense.wi_1.weight",
    ],
    rows=[
        Row("decoder.block.{j}.layer.2.DenseReluDense.wi.weight", "dec.blk.{j}.ffn_up.weight"),
        Row("encoder.block.{i}.layer.1.DenseReluDense.wi.weight", "enc.blk.{i}.ffn_up.weight"),
    ],
)


HF_T5_ENCODER = Layout(
    "hf-t5-encoder",
    architecture="t5",
    model_types=["t5"],
    counts={"i": "num_layers"},
    proof=PROOF,
    rows=[
        Row("encoder.block.{i}.layer.0.SelfAttention.k.weight"),
        Row("encoder.block.{i}.layer.0.SelfAttention.o.weight"),
        Row("encoder.block.{i}.layer.0.SelfAttention.q.weight"),
        Row(
            "encoder.block.{i}.layer.0.SelfAttention.relative_attention_bias.weight",
            in_some_layers=True,
        ),
        Row("encoder.block.{i}.layer.0.SelfAttention.v.weight"),
        Row("encoder.block.{i}.layer.0.layer_norm.weight"),
        Row("encoder.block.{i}.layer.1.DenseReluDense.wi_0.weight"),
        Row("encoder.block.{i}.layer.1.DenseReluDense.wi_1.weight"),
        Row("encoder.block.{i}.layer.1.layer_norm.weight"),
        Row("encoder.final_layer_norm.weight"),
        Row("shared.weight"),
        Row("encoder.block.{i}.layer.1.DenseReluDense.wo.weight", shape=("d_model", "d_ff")),
    ],
)


GGUF_T5ENCODER = Layout(
    "gguf-t5encoder",
    base=HF_T5_ENCODER,
    model_types=["t5encoder"],
    metadata={"general.architecture": "t5encoder"},
    sizes={
        "t5encoder.block_count": "num_layers",
        "t5encoder.embedding_length": "d_model",
        "t5encoder.feed_forward_length": "d_ff",
        "t5encoder.attention.head_count": "num_heads",
        "t5encoder.attention.key_length": "d_kv",
        "t5encoder.context_length": 512,
        "t5encoder.attention.value_length": "d_kv",
        "t5encoder.attention.relative_buckets_count": "relative_attention_num_buckets",
        "t5encoder.attention.layer_norm_rms_epsilon": "layer_norm_epsilon",
    },
    proof=PROOF,
    rows=[
        Row("encoder.block.{i}.layer.0.SelfAttention.k.weight", "enc.blk.{i}.attn_k.weight"),
        Row("encoder.block.{i}.layer.0.SelfAttention.o.weight", "enc.blk.{i}.attn_o.weight"),
        Row("encoder.block.{i}.layer.0.SelfAttention.q.weight", "enc.blk.{i}.attn_q.weight"),
        Row(
            "encoder.block.{i}.layer.0.SelfAttention.relative_attention_bias.weight",
            "enc.blk.{i}.attn_rel_b.weight",
            in_some_layers=True,
        ),
        Row("encoder.block.{i}.layer.0.SelfAttention.v.weight", "enc.blk.{i}.attn_v.weight"),
        Row("encoder.block.{i}.layer.0.layer_norm.weight", "enc.blk.{i}.attn_norm.weight"),
        Row("encoder.block.{i}.layer.1.DenseReluDense.wi_0.weight", "enc.blk.{i}.ffn_gate.weight"),
        Row("encoder.block.{i}.layer.1.DenseReluDense.wi_1.weight", "enc.blk.{i}.ffn_up.weight"),
        Row("encoder.block.{i}.layer.1.layer_norm.weight", "enc.blk.{i}.ffn_norm.weight"),
        Row("encoder.final_layer_norm.weight", "enc.output_norm.weight"),
        Row("shared.weight", "token_embd.weight"),
        Row("encoder.block.{i}.layer.1.DenseReluDense.wo.weight", "enc.blk.{i}.ffn_down.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)


HF_T5_ENCODER_RELU = extend(
    HF_T5_ENCODER,
    "hf-t5-encoder-relu",
    architecture="t5",
    model_types=["t5"],
    proof=PROOF,
    without=[
        "encoder.block.{i}.layer.1.DenseReluDense.wi_0.weight",
        "encoder.block.{i}.layer.1.DenseReluDense.wi_1.weight",
    ],
    rows=[Row("encoder.block.{i}.layer.1.DenseReluDense.wi.weight", shape=("d_ff", "d_model"))],
)


GGUF_T5ENCODER_RELU = extend(
    GGUF_T5ENCODER,
    "gguf-t5encoder-relu",
    base=HF_T5_ENCODER_RELU,
    model_types=["t5encoder"],
    metadata={"general.architecture": "t5encoder"},
    proof=PROOF,
    without=[
        "encoder.block.{i}.layer.1.DenseReluDense.wi_0.weight",
        "encoder.block.{i}.layer.1.DenseReluDense.wi_1.weight",
    ],
    rows=[Row("encoder.block.{i}.layer.1.DenseReluDense.wi.weight", "enc.blk.{i}.ffn_up.weight")],
)
