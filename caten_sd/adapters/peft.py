"""peft: a model with adapters, whose files hold one adapter alone and without its name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict

from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Row


class AdapterFiles:
    """The layout of the files of one model's active adapter."""

    def __init__(self, model: PeftModel) -> None:
        self.model = model
        active = model.active_adapters
        self.adapter = active[0] if active else next(iter(model.peft_config))

    def to_read(self, leaves: Mapping[str, Any], slots: Mapping[str, Any]) -> Layout | None:
        """Return the layout of a file with these leaves; None if they have the slots' names."""
        names = self._names(slots, embeddings=True)
        rows = [Row(names[key], key) for key in leaves if key in names]
        return self._layout(rows)

    def to_write(self, slots: Mapping[str, Any]) -> Layout | None:
        """Return the layout that ``save_pretrained`` writes."""
        names = self._names(slots, embeddings="auto")
        return self._layout([Row(slot, key) for key, slot in names.items()])

    def unsaved(self, slots: Mapping[str, Any]) -> Collection[str]:
        """Return the slots of the model that has the adapters, and those of other adapters."""
        return slots.keys() - set(self._names(slots, embeddings="auto").values())

    def _layout(self, rows: list[Row]) -> Layout | None:
        if all(row.names == row.canonical_names for row in rows):
            return None
        return Layout(f"peft-{type(self.model).__name__}-{self.adapter}", rows)

    def _names(self, slots: Mapping[str, Any], *, embeddings: bool | str) -> dict[str, str]:
        """Return the slot of each key of a file, which peft tells for tensors without data."""
        empty = {key: torch.empty(0, device="meta") for key in slots}
        slot_of = {id(tensor): key for key, tensor in empty.items()}
        saved = get_peft_model_state_dict(
            self.model, empty, self.adapter, save_embedding_layers=embeddings
        )
        return {key: slot_of[id(each)] for key, each in saved.items() if id(each) in slot_of}


@hooks_of.register(PeftModel)
def _hooks(call_next_method: Callable[..., OwnerHooks], model: PeftModel, /) -> OwnerHooks:
    hooks = call_next_method(model)
    hooks.files = AdapterFiles(model)
    return hooks
