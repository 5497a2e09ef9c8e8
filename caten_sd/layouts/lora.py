"""LoRA adapters: peft's files and live names, diffusers' files and kohya's.

The canonical names are those of peft's files without "base_model.model.". A name in a file of
diffusers or kohya begins with the model of the pipeline that the pair is for. kohya joins the path
of a layer by "_", so only the keys of the models tell it apart: pass them as ``against``.

A pair counts alpha / rank times. peft has alpha in adapter_config.json, kohya next to the pair, and
diffusers takes the rank for it.
"""

from __future__ import annotations

from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Constant, Lacks, Row

PART = "{part:unet|transformer|text_encoder|text_encoder_2}"
OTHERS = ("lora_B.bias", "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector")
IN_CONFIG = Lacks(
    "{path...}.alpha",
    "peft has it as lora_alpha in adapter_config.json",
    constant=Constant(
        "lora_alpha",
        like="{path...}.lora_A.weight",
        axes=(),
        unless=("use_rslora", "alpha_pattern"),
    ),
)
METADATA = "lora_adapter_metadata"  # where newer files of diffusers may state another alpha


def _is_rank(path: str) -> Lacks:
    return Lacks(
        f"{path}.alpha",
        "diffusers takes the rank for it",
        constant=Constant("axis 0", like=f"{path}.lora_A.weight", axes=(), unless=(METADATA,)),
    )


PEFT = Layout(
    "peft-lora",
    architecture="lora",
    model_types=("LORA",),
    proof="peft saves the same keys",
    prefixes=("base_model.model.",),
    rows=[
        Row("{path...}.lora_A.weight"),
        Row("{path...}.lora_B.weight"),
        *(Row(f"{{path...}}.{name}", optional=True) for name in OTHERS),
        IN_CONFIG,
    ],
)

PEFT_LIVE = Layout(
    "peft-lora-live",
    base=PEFT,
    proof="a PeftModel has the same keys",
    prefixes=("base_model.model.",),
    rows=[
        Row("{path...}.lora_A.weight", "{path...}.lora_A.default.weight"),
        Row("{path...}.lora_B.weight", "{path...}.lora_B.default.weight"),
        Row("{path...}.lora_B.bias", "{path...}.lora_B.default.bias", optional=True),
        *(
            Row(f"{{path...}}.{name}", f"{{path...}}.{name}.default", optional=True)
            for name in ("lora_embedding_A", "lora_embedding_B")
        ),
        Row(
            "{path...}.lora_magnitude_vector",
            "{path...}.lora_magnitude_vector.default.weight",
            optional=True,
        ),
        IN_CONFIG,
    ],
)

DIFFUSERS = Layout(
    "diffusers-lora",
    base=PEFT,
    proof="diffusers reads its own older names as the same",
    sizes={METADATA: METADATA},
    rows=[
        *(
            Row(
                f"{PART}.{{path...}}.{name}.weight",
                also=(
                    f"{PART}.{{path...}}.lora.{older}.weight",
                    f"{PART}.{{path...}}.lora_linear_layer.{older}.weight",
                ),
            )
            for name, older in (("lora_A", "down"), ("lora_B", "up"))
        ),
        *(Row(f"{PART}.{{path...}}.{name}", optional=True) for name in OTHERS),
        _is_rank(f"{PART}.{{path...}}"),
    ],
)

PROCESSORS = Layout(
    "diffusers-lora-processors",
    base=PEFT,
    proof="diffusers reads its own older names as the same",
    rows=[
        *(
            row
            for name, older in (("lora_A", "down"), ("lora_B", "up"))
            for row in (
                Row(
                    f"unet.{{path...}}.{{proj:to_q|to_k|to_v}}.{name}.weight",
                    f"unet.{{path...}}.processor.{{proj}}_lora.{older}.weight",
                ),
                Row(
                    f"unet.{{path...}}.to_out.0.{name}.weight",
                    f"unet.{{path...}}.processor.to_out_lora.{older}.weight",
                ),
            )
        ),
        _is_rank("unet.{path...}"),
    ],
)

KOHYA = Layout(
    "kohya-lora",
    base=PEFT,
    proof="diffusers converts to the same keys and values",
    rows=[
        Row(
            f"{part}.{{path...}}.{name}",
            f"{start}_{{path..._}}.{here}",
            optional=True,
            also=tuple(f"{each}_{{path..._}}.{here}" for each in older),
        )
        for part, start, older in (
            ("unet", "lora_unet", ()),
            ("text_encoder", "lora_te1", ("lora_te",)),
            ("text_encoder_2", "lora_te2", ()),
        )
        for name, here in (
            ("lora_A.weight", "lora_down.weight"),
            ("lora_B.weight", "lora_up.weight"),
            ("alpha", "alpha"),
        )
    ],
)
