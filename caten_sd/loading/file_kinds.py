"""Kinds of files that are not model weights, and the key patterns that identify them: data only."""

from __future__ import annotations

import re
from typing import NamedTuple


class FileKind(NamedTuple):
    """A kind of file that is not model weights (optimizer, adapter, quantized).

    The file is of this kind if ``pattern`` is found in a ``fraction`` of its keys or more. One
    that ``is_packed`` has integers or floats of a byte, too: a scale alone says too little.
    """

    pattern: re.Pattern[str]
    fraction: float
    text: str
    is_packed: bool = False


KINDS = (
    FileKind(
        re.compile(
            r"(^|\.)(exp_avg|exp_avg_sq|exp_avg_sq_(row|col)|max_exp_avg_sq|momentum_buffer|"
            r"square_avg|acc_delta|param_groups)(\.|$)"
        ),
        0.5,
        "the file holds an optimizer's state ({}), which is not model weights: load the "
        "file that holds those",
    ),
    FileKind(
        re.compile(r"(^|[._])(lora|hada|lokr|loha|ia3)([A-Z_.]|$)"),
        0.5,
        "the file is an adapter ({}): it changes the weights of a base model, which it lacks: load "
        "the base model, apply the adapter with its own library, as peft, and merge the two",
    ),
    FileKind(
        re.compile(
            r"(^|\.)(lora_(A|B|down|up|embedding_[AB]|magnitude_vector)|hada_w\d_[ab]|"
            r"lokr_w\d(_[ab])?|ia3_l)(\.|$)"
        ),
        0.0,
        "the file has an adapter ({}) beside the weights that it changes, so those alone are not "
        "the model that was saved: merge the adapter there, as peft's merge_and_unload does, and "
        "save again",
    ),
    FileKind(
        re.compile(
            r"(^|\.)(qweight|qzeros|scales|g_idx|SCB|absmax|quant_map|quant_state(\..*)?|weight_packed|"
            r"weight(_global)?_scale(_inv|_2)?|weight_format|\w+_blocks|\w+_scales|W_q)$"
        ),
        0.1,
        "the file is quantized ({}): its packed weights mean nothing without their scales, which "
        "the model has no slots for: make them floats with to_floats(state_dict), or in the file "
        "with caten-sd convert --dtype f16",
        is_packed=True,
    ),
)
