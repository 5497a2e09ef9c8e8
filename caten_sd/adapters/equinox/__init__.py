"""Equinox: modules, which cannot be changed, and the State of layers such as BatchNorm."""

from caten_sd.adapters.equinox import module_fields, stateful_layers

__all__ = ["module_fields", "stateful_layers"]
