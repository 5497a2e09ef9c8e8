"""BERT, RoBERTa and DistilBERT: the names of Hugging Face, of GGUF, and of Google's first files.

Google's files have "/" between names, matrices as (in, out), and the optimizer's moments next to
the weights. A GGUF of RoBERTa leaves out the first two positions, which no token has. A GGUF has
neither the pooler nor the head that fills in masked words.
"""

from __future__ import annotations

from caten_sd.mapping.axis_lengths import Trim
from caten_sd.mapping.extension import extend
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Transpose
from caten_sd.mapping.rows import Drop, Lacks, Row

UNTIED = ("tie_word_embeddings", False)
PART, SELF = "{part:weight|bias}", "{name:query|key|value}"
SQUARE, HIDDEN = ("hidden_size", "hidden_size"), ("hidden_size",)
LAYER, POOLER = "encoder.layer.{i}", "pooler.dense"
TRANSFORM, NEXT = "cls.predictions.transform", "cls.seq_relationship"
NORMS = ("embeddings.LayerNorm", f"{LAYER}.attention.output.LayerNorm", f"{LAYER}.output.LayerNorm")
NO_POOLER = "a GGUF keeps no pooler"
NO_HEAD = "a GGUF keeps no head that fills in masked words"

HF = Layout(
    "hf-bert",
    architecture="bert",
    proof="BertForMaskedLM of transformers gives the same logits",
    prefixes=("bert.", ""),
    counts={"i": "num_hidden_layers"},
    rows=[
        Row("embeddings.word_embeddings.weight", shape=("vocab_size", "hidden_size")),
        Row("embeddings.position_embeddings.weight",
            shape=("max_position_embeddings", "hidden_size")),
        Row("embeddings.token_type_embeddings.weight", shape=("type_vocab_size", "hidden_size")),
        Row(f"{LAYER}.attention.self.{SELF}.weight", shape=SQUARE),
        Row(f"{LAYER}.attention.self.{SELF}.bias", shape=HIDDEN),
        Row(f"{LAYER}.attention.output.dense.weight", shape=SQUARE),
        Row(f"{LAYER}.attention.output.dense.bias", shape=HIDDEN),
        Row(f"{LAYER}.intermediate.dense.weight", shape=("intermediate_size", "hidden_size")),
        Row(f"{LAYER}.intermediate.dense.bias", shape=("intermediate_size",)),
        Row(f"{LAYER}.output.dense.weight", shape=("hidden_size", "intermediate_size")),
        Row(f"{LAYER}.output.dense.bias", shape=HIDDEN),
        *(Row(f"{norm}.weight", shape=HIDDEN, also=f"{norm}.gamma") for norm in NORMS),
        *(Row(f"{norm}.bias", shape=HIDDEN, also=f"{norm}.beta") for norm in NORMS),
        Row(f"{POOLER}.{PART}", optional=True),
        Row("cls.predictions.bias", shape=("vocab_size",), optional=True, prefixed=False),
        Row(f"{TRANSFORM}.dense.{PART}", optional=True, prefixed=False),
        Row(f"{TRANSFORM}.LayerNorm.weight", optional=True, prefixed=False,
            also=f"{TRANSFORM}.LayerNorm.gamma"),
        Row(f"{TRANSFORM}.LayerNorm.bias", optional=True, prefixed=False,
            also=f"{TRANSFORM}.LayerNorm.beta"),
        Row("cls.predictions.decoder.weight", optional=True, prefixed=False,
            tied="embeddings.word_embeddings.weight", untied=UNTIED, given="cls.predictions.bias"),
        Row("cls.predictions.decoder.bias", optional=True, prefixed=False,
            tied="cls.predictions.bias", given="cls.predictions.bias"),
        Row(f"{NEXT}.{PART}", optional=True, prefixed=False),
        Row(f"classifier.{PART}", optional=True, prefixed=False),
        Row(f"qa_outputs.{PART}", optional=True, prefixed=False),
        Drop("embeddings.position_ids", "the positions, which are counted", shape=(1, "t")),
    ],
)  # fmt: skip

GGUF_ROWS: list[Row | Drop | Lacks] = [
    Row("embeddings.word_embeddings.weight", "token_embd.weight"),
    Row("embeddings.position_embeddings.weight", "position_embd.weight"),
    Row("embeddings.token_type_embeddings.weight", "token_types.weight"),
    Row(f"embeddings.LayerNorm.{PART}", f"token_embd_norm.{PART}"),
    Row(f"{LAYER}.attention.self.query.{PART}", f"blk.{{i}}.attn_q.{PART}"),
    Row(f"{LAYER}.attention.self.key.{PART}", f"blk.{{i}}.attn_k.{PART}"),
    Row(f"{LAYER}.attention.self.value.{PART}", f"blk.{{i}}.attn_v.{PART}"),
    Row(f"{LAYER}.attention.output.dense.{PART}", f"blk.{{i}}.attn_output.{PART}"),
    Row(f"{LAYER}.attention.output.LayerNorm.{PART}", f"blk.{{i}}.attn_output_norm.{PART}"),
    Row(f"{LAYER}.intermediate.dense.{PART}", f"blk.{{i}}.ffn_up.{PART}"),
    Row(f"{LAYER}.output.dense.{PART}", f"blk.{{i}}.ffn_down.{PART}"),
    Row(f"{LAYER}.output.LayerNorm.{PART}", f"blk.{{i}}.layer_output_norm.{PART}"),
    Row(f"classifier.{PART}", f"cls.output.{PART}", optional=True),
    Lacks(f"{POOLER}.{PART}", NO_POOLER),
    Lacks("cls.predictions.{path...}", NO_HEAD),
    Lacks(f"{NEXT}.{PART}", "a GGUF keeps no head that tells whether a sentence follows"),
    Lacks(f"qa_outputs.{PART}", "a GGUF keeps no head that marks an answer"),
]

GGUF = Layout(
    "gguf-bert",
    base=HF,
    proof="llama.cpp's converter gives the same bytes",
    metadata={"general.architecture": "bert"},
    sizes={
        "bert.vocab_size": "vocab_size",
        "bert.context_length": "max_position_embeddings",
        "bert.embedding_length": "hidden_size",
        "bert.feed_forward_length": "intermediate_size",
        "bert.block_count": "num_hidden_layers",
        "bert.attention.head_count": "num_attention_heads",
        "bert.attention.layer_norm_epsilon": "layer_norm_eps",
        "bert.attention.causal": False,
    },
    rows=GGUF_ROWS,
)

TF_LAYER = "bert/encoder/layer_{i}"

TF = Layout(
    "tf-bert",
    base=HF,
    proof="the converter of transformers 4 gives the same tensors",
    separator="/",
    rows=[
        Row("embeddings.word_embeddings.weight", "bert/embeddings/word_embeddings"),
        Row("embeddings.position_embeddings.weight", "bert/embeddings/position_embeddings"),
        Row("embeddings.token_type_embeddings.weight", "bert/embeddings/token_type_embeddings"),
        Row("embeddings.LayerNorm.weight", "bert/embeddings/LayerNorm/gamma"),
        Row("embeddings.LayerNorm.bias", "bert/embeddings/LayerNorm/beta"),
        Row(f"{LAYER}.attention.self.{SELF}.weight",
            f"{TF_LAYER}/attention/self/{SELF}/kernel", Transpose()),
        Row(f"{LAYER}.attention.self.{SELF}.bias", f"{TF_LAYER}/attention/self/{SELF}/bias"),
        Row(f"{LAYER}.attention.output.dense.weight",
            f"{TF_LAYER}/attention/output/dense/kernel", Transpose()),
        Row(f"{LAYER}.attention.output.dense.bias", f"{TF_LAYER}/attention/output/dense/bias"),
        Row(f"{LAYER}.attention.output.LayerNorm.weight",
            f"{TF_LAYER}/attention/output/LayerNorm/gamma"),
        Row(f"{LAYER}.attention.output.LayerNorm.bias",
            f"{TF_LAYER}/attention/output/LayerNorm/beta"),
        Row(f"{LAYER}.intermediate.dense.weight",
            f"{TF_LAYER}/intermediate/dense/kernel", Transpose()),
        Row(f"{LAYER}.intermediate.dense.bias", f"{TF_LAYER}/intermediate/dense/bias"),
        Row(f"{LAYER}.output.dense.weight", f"{TF_LAYER}/output/dense/kernel", Transpose()),
        Row(f"{LAYER}.output.dense.bias", f"{TF_LAYER}/output/dense/bias"),
        Row(f"{LAYER}.output.LayerNorm.weight", f"{TF_LAYER}/output/LayerNorm/gamma"),
        Row(f"{LAYER}.output.LayerNorm.bias", f"{TF_LAYER}/output/LayerNorm/beta"),
        Row("pooler.dense.weight", "bert/pooler/dense/kernel", Transpose(), optional=True),
        Row("pooler.dense.bias", "bert/pooler/dense/bias", optional=True),
        Row("cls.predictions.bias", "cls/predictions/output_bias", optional=True),
        Row(f"{TRANSFORM}.dense.weight",
            "cls/predictions/transform/dense/kernel", Transpose(), optional=True),
        Row(f"{TRANSFORM}.dense.bias", "cls/predictions/transform/dense/bias", optional=True),
        Row(f"{TRANSFORM}.LayerNorm.weight",
            "cls/predictions/transform/LayerNorm/gamma", optional=True),
        Row(f"{TRANSFORM}.LayerNorm.bias",
            "cls/predictions/transform/LayerNorm/beta", optional=True),
        Row(f"{NEXT}.weight", "cls/seq_relationship/output_weights", optional=True),
        Row(f"{NEXT}.bias", "cls/seq_relationship/output_bias", optional=True),
        Row("classifier.weight", "output_weights", optional=True),
        Row("classifier.bias", "output_bias", optional=True),
        Row("cls.predictions.decoder.weight", "cls/predictions/output_weights", optional=True,
            tied="embeddings.word_embeddings.weight", given="cls.predictions.bias"),
        Lacks("cls.predictions.decoder.bias", "it is cls/predictions/output_bias"),
        Lacks(f"qa_outputs.{PART}", "Google's file of an answering model has names of its own"),
        Drop("{path...}/adam_m", "a moment of the optimizer"),
        Drop("{path...}/adam_v", "a moment of the optimizer"),
        Drop("global_step", "the count of training steps"),
    ],
)  # fmt: skip

OF_WORDS = [
    *(f"{TRANSFORM}.LayerNorm.{each}" for each in ("weight", "bias")),
    f"{TRANSFORM}.dense.{PART}",
    f"{NEXT}.{PART}",
    "cls.predictions.bias",
    "cls.predictions.decoder.weight",
    "cls.predictions.decoder.bias",
]

ROBERTA = extend(
    HF,
    "hf-roberta",
    [
        Row("lm_head.bias", shape=("vocab_size",), optional=True, prefixed=False),
        Row(f"lm_head.dense.{PART}", optional=True, prefixed=False),
        Row(f"lm_head.layer_norm.{PART}", optional=True, prefixed=False),
        Row("lm_head.decoder.weight", optional=True, prefixed=False,
            tied="embeddings.word_embeddings.weight", untied=UNTIED, given="lm_head.bias"),
        Row("lm_head.decoder.bias", optional=True, prefixed=False,
            tied="lm_head.bias", given="lm_head.bias"),
        Row(f"classifier.dense.{PART}", optional=True, prefixed=False),
        Row(f"classifier.out_proj.{PART}", optional=True, prefixed=False),
    ],
    without=OF_WORDS,
    architecture="roberta",
    model_types=("xlm-roberta", "camembert"),
    prefixes=("roberta.", ""),
    proof="RobertaModel of transformers gives the same outputs, by way of GGUF",
)  # fmt: skip

GGUF_ROBERTA = extend(
    GGUF,
    "gguf-roberta",
    [
        Row("embeddings.position_embeddings.weight", "position_embd.weight",
            Trim(0, count=2, at="start")),
        Lacks(f"classifier.{PART}", "a GGUF keeps no head that marks single words"),
        Row(f"classifier.dense.{PART}", f"cls.{PART}", optional=True),
        Row(f"classifier.out_proj.{PART}", f"cls.output.{PART}", optional=True),
        Lacks("lm_head.{path...}", NO_HEAD),
    ],
    without=["cls.predictions.{path...}", f"{NEXT}.{PART}"],
    base=ROBERTA,
    model_types=("bert",),
    only_if={"tokenizer.ggml.model": "gpt2|t5"},
    sizes={"bert.context_length": "positions"},
    proof="llama.cpp's converter gives the same bytes",
)  # fmt: skip

DISTIL_LAYER = "transformer.layer.{i}"

DISTILBERT = Layout(
    "hf-distilbert",
    architecture="distilbert",
    proof="DistilBertModel of transformers gives the same outputs, by way of GGUF",
    prefixes=("distilbert.", ""),
    counts={"i": "n_layers"},
    aliases={
        "n_layers": ("num_hidden_layers",),
        "n_heads": ("num_attention_heads",),
        "dim": ("hidden_size",),
        "hidden_dim": ("intermediate_size",),
    },
    rows=[
        Row("embeddings.word_embeddings.weight", shape=("vocab_size", "dim")),
        Row("embeddings.position_embeddings.weight", shape=("max_position_embeddings", "dim")),
        Row(f"embeddings.LayerNorm.{PART}", shape=("dim",)),
        Row(f"{DISTIL_LAYER}.attention.{{name:q_lin|k_lin|v_lin|out_lin}}.weight",
            shape=("dim", "dim")),
        Row(f"{DISTIL_LAYER}.attention.{{name:q_lin|k_lin|v_lin|out_lin}}.bias", shape=("dim",)),
        Row(f"{DISTIL_LAYER}.sa_layer_norm.{PART}", shape=("dim",)),
        Row(f"{DISTIL_LAYER}.ffn.lin1.weight", shape=("hidden_dim", "dim")),
        Row(f"{DISTIL_LAYER}.ffn.lin1.bias", shape=("hidden_dim",)),
        Row(f"{DISTIL_LAYER}.ffn.lin2.weight", shape=("dim", "hidden_dim")),
        Row(f"{DISTIL_LAYER}.ffn.lin2.bias", shape=("dim",)),
        Row(f"{DISTIL_LAYER}.output_layer_norm.{PART}", shape=("dim",)),
        Row(f"vocab_transform.{PART}", optional=True, prefixed=False),
        Row(f"vocab_layer_norm.{PART}", optional=True, prefixed=False),
        Row("vocab_projector.bias", optional=True, prefixed=False),
        Row("vocab_projector.weight", optional=True, prefixed=False,
            tied="embeddings.word_embeddings.weight", untied=UNTIED, given="vocab_projector.bias"),
        Row(f"pre_classifier.{PART}", optional=True, prefixed=False),
        Row(f"classifier.{PART}", optional=True, prefixed=False),
        Row(f"qa_outputs.{PART}", optional=True, prefixed=False),
        Drop("embeddings.position_ids", "the positions, which are counted", shape=(1, "t")),
    ],
)  # fmt: skip

GGUF_DISTILBERT = Layout(
    "gguf-distilbert",
    base=DISTILBERT,
    proof="llama.cpp's converter gives the same bytes",
    model_types=("bert",),
    metadata=GGUF.metadata,
    sizes={
        "bert.vocab_size": "vocab_size",
        "bert.context_length": "max_position_embeddings",
        "bert.embedding_length": "dim",
        "bert.feed_forward_length": "hidden_dim",
        "bert.block_count": "n_layers",
        "bert.attention.head_count": "n_heads",
        "bert.attention.layer_norm_epsilon": 1e-12,
        "bert.attention.causal": False,
    },
    rows=[
        Row("embeddings.word_embeddings.weight", "token_embd.weight"),
        Row("embeddings.position_embeddings.weight", "position_embd.weight"),
        Row(f"embeddings.LayerNorm.{PART}", f"token_embd_norm.{PART}"),
        Row(f"{DISTIL_LAYER}.attention.q_lin.{PART}", f"blk.{{i}}.attn_q.{PART}"),
        Row(f"{DISTIL_LAYER}.attention.k_lin.{PART}", f"blk.{{i}}.attn_k.{PART}"),
        Row(f"{DISTIL_LAYER}.attention.v_lin.{PART}", f"blk.{{i}}.attn_v.{PART}"),
        Row(f"{DISTIL_LAYER}.attention.out_lin.{PART}", f"blk.{{i}}.attn_output.{PART}"),
        Row(f"{DISTIL_LAYER}.sa_layer_norm.{PART}", f"blk.{{i}}.attn_output_norm.{PART}"),
        Row(f"{DISTIL_LAYER}.ffn.lin1.{PART}", f"blk.{{i}}.ffn_up.{PART}"),
        Row(f"{DISTIL_LAYER}.ffn.lin2.{PART}", f"blk.{{i}}.ffn_down.{PART}"),
        Row(f"{DISTIL_LAYER}.output_layer_norm.{PART}", f"blk.{{i}}.layer_output_norm.{PART}"),
        Lacks(f"vocab_transform.{PART}", NO_HEAD),
        Lacks(f"vocab_layer_norm.{PART}", NO_HEAD),
        Lacks(f"vocab_projector.{PART}", NO_HEAD),
        Lacks(f"pre_classifier.{PART}", "a GGUF keeps no head of this model"),
        Lacks(f"classifier.{PART}", "a GGUF keeps no head of this model"),
        Lacks(f"qa_outputs.{PART}", "a GGUF keeps no head that marks an answer"),
    ],
)
