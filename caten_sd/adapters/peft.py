"""peft: a model with adapters, whose files hold one adapter alone and without its name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict

from caten_sd.errors import LayoutError
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Row

_LOAD = "load the file with peft.set_peft_model_state_dict(model, state_dict)"
_SAVE = "save with model.save_pretrained(folder)"


class AdapterFiles:
    """The layout of the files of one model's active adapter."""

    def __init__(self, model: PeftModel) -> None:
        self.model = model
        active = model.active_adapters
        self.adapter = active[0] if active else next(iter(model.peft_config))

    def to_read(self, leaves: Mapping[str, Any], slots: Mapping[str, Any]) -> Layout | None:
        """Return the layout of a file with these leaves; None if they have the slots' names."""
        saved = self._saved(slots, embeddings=True)
        return self._layout({key: saved[key] for key in leaves if key in saved}, _LOAD)

    def to_write(self, slots: Mapping[str, Any]) -> Layout | None:
        """Return the layout that ``save_pretrained`` writes."""
        return self._layout(self._saved(slots, embeddings="auto"), _SAVE)

    def unsaved(self, slots: Mapping[str, Any]) -> Collection[str]:
        """Return the slots of the model that has the adapters, and those of other adapters."""
        return slots.keys() - set(self._saved(slots, embeddings="auto").values())

    def _layout(self, saved: Mapping[str, str | None], remedy: str) -> Layout | None:
        name, rows = type(self.model).__name__, []
        for key, slot in saved.items():
            if slot is None:
                raise LayoutError(f"{key} of peft is not in the state of {name}: {remedy}")
            rows.append(Row(slot, key))
        if all(row.names == row.canonical_names for row in rows):
            return None
        return Layout(f"peft-{name}-{self.adapter}", rows)

    def _saved(self, slots: Mapping[str, Any], *, embeddings: bool | str) -> dict[str, str | None]:
        """Return the slot of each key of a file, which peft tells for tensors without data.

        It is None for what peft does not take from the state, as the embeddings of a prompt.
        """
        empty = {key: torch.empty(0, device="meta") for key in slots}
        slot_of = {id(tensor): key for key, tensor in empty.items()}
        saved = get_peft_model_state_dict(
            self.model, empty, self.adapter, save_embedding_layers=embeddings
        )
        return {key: slot_of.get(id(each)) for key, each in saved.items()}


@hooks_of.register(PeftModel)
def _hooks(call_next_method: Callable[..., OwnerHooks], model: PeftModel, /) -> OwnerHooks:
    hooks = call_next_method(model)
    hooks.files = AdapterFiles(model)
    return hooks
