"""transformers: the layout of a model's files, which its classes of version 5 do not share."""

from caten_sd.adapters.transformers import hub_hooks, input_first_layers

__all__ = ["hub_hooks", "input_first_layers"]
