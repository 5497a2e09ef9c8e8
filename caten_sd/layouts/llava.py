"""LLaVA and Voxtral: a Llama behind a part that sees or hears, which GGUF keeps in another file."""

from __future__ import annotations

from caten_sd.mapping.extension import extend
from caten_sd.mapping.known import known_layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)
LLAMA = known_layout("hf-llama")
OTHER = "not a part of the language model"
HEAD = Row(
    "lm_head.weight",
    "language_model.lm_head.weight",
    prefixed=False,
    tied="embed_tokens.weight",
    untied=UNTIED,
)

HF_LLAVA = extend(
    LLAMA,
    "hf-llava",
    base=LLAMA,
    model_types=["llava"],
    prefixes=("language_model.model.",),
    proof=PROOF,
    rows=[
        HEAD,
        Drop("vision_tower.{path...}", OTHER, prefixed=False),
        Drop("multi_modal_projector.{path...}", OTHER, prefixed=False),
    ],
)

HF_VOXTRAL = extend(
    HF_LLAVA,
    "hf-voxtral",
    base=LLAMA,
    model_types=["voxtral"],
    proof=PROOF,
    rows=[Drop("audio_tower.{path...}", OTHER, prefixed=False)],
    without=["vision_tower.{path...}"],
)
