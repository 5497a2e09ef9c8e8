"""The Conv1D of GPT-2: a dense layer whose weight has its inputs first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers.pytorch_utils import Conv1D

from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.mapping.layer_kinds import StandardLayer
from caten_sd.mapping.operations import Transpose
from caten_sd.mapping.rows import Row

_LAYER = StandardLayer("dense", (Row("weight", "weight", Transpose()), Row("bias")))


@hooks_of.register(Conv1D)
def _hooks(call_next_method: Callable[..., OwnerHooks], module: Any, /) -> OwnerHooks:
    hooks = call_next_method(module)
    hooks.layers = lambda: (_LAYER,)  # type: ignore[method-assign]
    return hooks
