"""Kinds of files that are not model weights, and the key patterns that identify them: data only."""

from __future__ import annotations

import re
from typing import NamedTuple


class FileKind(NamedTuple):
    """A kind of file that is not model weights (optimizer, adapter, quantized).

    The file is of this kind if ``pattern`` is found in a ``fraction`` of its keys or more.
    """

    pattern: re.Pattern[str]
    fraction: float
    text: str
    fix: str


KINDS = (
    FileKind(
        re.compile(
            r"(^|\.)(exp_avg|exp_avg_sq|exp_avg_sq_(row|col)|max_exp_avg_sq|momentum_buffer|"
            r"square_avg|acc_delta|param_groups)(\.|$)"
        ),
        0.5,
        "the file holds an optimizer's state ({}), which is not model weights",
        'load_state_dict(model, read_state_dict("THE_FILE_WITH_THE_WEIGHTS"))',
    ),
    FileKind(
        re.compile(r"(^|[._])(lora|hada|lokr|loha|ia3)([A-Z_.]|$)"),
        0.5,
        "the file is an adapter ({}): it changes the weights of a base model, which it lacks",
        'model = peft.PeftModel.from_pretrained(model, "FOLDER_OF_THE_ADAPTER").merge_and_unload()',
    ),
    FileKind(
        re.compile(
            r"\.(qweight|qzeros|g_idx|SCB|absmax|quant_map|quant_state(\..*)?|weight_packed|"
            r"weight_scale(_inv)?|weight_format)$"
        ),
        0.1,
        "the file is quantized ({}): its packed weights mean nothing without their scales, which "
        "the model has no slots for",
        'quantized_model.dequantize().save_pretrained("FOLDER")  # and load that folder',
    ),
)
