"""LoRA adapters of kohya for Stable Diffusion in the names of latent diffusion (ldm).

kohya trains Stable Diffusion XL on ldm's UNet, so its adapters have input_blocks, middle_block and
output_blocks. All these names are known, so no keys of a model are needed to tell them apart. Those
of the text models are Hugging Face's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from caten_sd.mapping.known import find_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Row

ENDINGS = (
    ("lora_A.weight", "lora_down.weight"),
    ("lora_B.weight", "lora_up.weight"),
    ("alpha", "alpha"),
)
OF_LAYERS = ".weight", ".{p:weight|bias}"
CHOICE = re.compile(r"\{\w+:([^}]*)\}")
TEXT = (
    "text_model.encoder.layers.{i}.self_attn.{part:q_proj|k_proj|v_proj|out_proj}",
    "text_model.encoder.layers.{i}.mlp.{part:fc1|fc2}",
    "text_projection",
)


def _layer(name: str) -> str:
    """Return the name of a layer for that of its weight, or ""."""
    return next((name.removesuffix(end) for end in OF_LAYERS if name.endswith(end)), "")


def _rows(canonical: str, here: str, also: tuple[str, ...] = (), where: str = "") -> list[Row]:
    return [
        Row(
            f"{canonical}.{name}",
            f"{here}.{ending}",
            where=where,
            optional=True,
            also=tuple(f"{each}.{ending}" for each in also),
        )
        for name, ending in ENDINGS
    ]


def _joined(start: str, layer: str) -> str:
    return f"{start}_{layer.replace('.', '_')}"


def _spelled(*names: str) -> Iterator[tuple[str, ...]]:
    """Yield the names with each choice that they have, as joined names cannot have several.

    >>> list(_spelled("a.{p:q|k}", "b_{p:q|k}"))
    [('a.q', 'b_q'), ('a.k', 'b_k')]
    """
    if (choice := CHOICE.search(names[0])) is None:
        yield names
        return
    for word in choice[1].split("|"):
        yield from _spelled(*(name.replace(choice[0], word) for name in names))


def _unet(unet: Layout) -> list[Row]:
    """Return the rows for all layers of a UNet in the names of ldm."""
    found: list[Row] = []
    for row in unet.rows:
        if isinstance(row, Row) and (layer := _layer(row.canonical_names[0])):
            for name, ldm in _spelled(layer, _layer(row.names[0])):
                if "norm" in name.rpartition(".")[2]:  # it has no matrix
                    continue
                found += _rows(f"unet.{name}", _joined("lora_unet", ldm), where=row.where)
    return found


def _text() -> list[Row]:
    """Return the rows for the layers of the text models."""
    starts = (("text_encoder", "lora_te1", ("lora_te",)), ("text_encoder_2", "lora_te2", ()))
    return [
        row
        for part, start, older in starts
        for layers in TEXT
        for (layer,) in _spelled(layers)
        for row in _rows(
            f"{part}.{layer}", _joined(start, layer), tuple(_joined(each, layer) for each in older)
        )
    ]


PEFT, PROOF = find_layout("peft-lora"), "diffusers converts to the same keys and values"
SDXL = Layout(
    "kohya-lora-ldm-sdxl",
    [*_unet(find_layout("ldm-sdxl-unet")), *_text()],
    base=PEFT,
    proof=PROOF,
)
SD = Layout(
    "kohya-lora-ldm-sd",
    [*_unet(find_layout("ldm-sd-unet")), *_text()],
    base=PEFT,
    proof=f"{PROOF}, but for blocks 10 and 11 and an upsampler, which it takes for others",
)
