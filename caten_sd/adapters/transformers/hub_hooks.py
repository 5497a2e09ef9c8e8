"""What a model of transformers knows of its files: their names and tensors may not be its own.

Since version 5, the modules of a model may hold several tensors of a file as one, under other
names. ``from_pretrained`` and ``save_pretrained`` convert by a list of conversions; here it gives
the rows of a layout.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib.util import find_spec
from typing import Any

import torch
from transformers.modeling_utils import PreTrainedModel

from caten_sd.adapters.transformers.ignored_keys import IgnoredKeys
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.mapping.layout import Layout
from caten_sd.state.leaf import spec_or_none

# Before version 5, the names in files are those of the models.
_CONVERTS = find_spec("transformers.core_model_loading") is not None


class HubFiles:
    """The layout of the files of one model, as the hub has them."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model

    def to_read(self, leaves: Mapping[str, Any], slots: Mapping[str, Any]) -> Layout | None:
        """Return the layout of a file with these leaves; None if its names are the model's."""
        from caten_sd.adapters.transformers.conversion_rows import rows_between

        rows = rows_between(self.model, leaves, slots)
        if all(row.renames_only and row.names == row.canonical_names for row in rows):
            return None
        return Layout(f"transformers-{type(self.model).__name__}", rows)

    def to_write(self, slots: Mapping[str, Any]) -> Layout | None:
        """Return the layout that ``save_pretrained`` writes, found with tensors without data."""
        from transformers.core_model_loading import revert_weight_conversion

        specs = {key: spec_or_none(leaf) for key, leaf in slots.items()}
        empty = {
            key: torch.empty(known.shape, device="meta")
            for key, known in specs.items()
            if known is not None
        }
        return self.to_read(revert_weight_conversion(self.model, empty), slots)

    def unsaved(self, slots: Mapping[str, Any]) -> Collection[str]:
        """Return the slots that ``save_pretrained`` leaves out, since every model has them."""
        return slots.keys() & set(self.model._keys_to_ignore_on_save or ())


@hooks_of.register(PreTrainedModel)
def _hooks(call_next_method: Callable[..., OwnerHooks], model: PreTrainedModel, /) -> OwnerHooks:
    hooks = call_next_method(model)
    hooks.ignored = IgnoredKeys(model)
    # The conversions of a quantized model are those of its quantizer, which cannot be undone.
    quantized = getattr(model, "hf_quantizer", None) is not None
    if _CONVERTS and not quantized:
        hooks.files = HubFiles(model)
    return hooks
