"""What describes a model of Flax and has no variables: a module of linen, a GraphDef of NNX.

A dict may hold one next to its arrays; by itself it is not a model.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
from flax import nnx

from caten_sd.errors import StateDictError
from caten_sd.objects.class_kinds import DataclassInstance
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.owner import Slot, slots_of
from caten_sd.state.keys import Pair, Path, path_text


class LinenModule(DataclassInstance):
    """A module of linen, each of which is a dataclass."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        return issubclass(other, nn.Module) if cls is LinenModule else NotImplemented


class _GraphDef(DataclassInstance):
    """A GraphDef of NNX, which is a dataclass too."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        return issubclass(other, nnx.GraphDef) if cls is _GraphDef else NotImplemented


@to_state_dict.register(LinenModule)
def _module_pairs(module: nn.Module, parent: Path, /) -> list[Pair]:
    if parent and module.scope is None:
        return []
    raise StateDictError(
        f"{path_text(parent)} is {type(module).__name__}, a module of linen, which has no "
        f"variables: give the dict that its init() returned, or that it is bound to"
    )


@to_state_dict.register(_GraphDef)
def _graph_pairs(graph: Any, parent: Path, /) -> list[Pair]:
    if parent:
        return []
    raise StateDictError("a GraphDef has no variables: give the State that nnx.split() returned")


@slots_of.register((LinenModule, _GraphDef))
def _no_slots(described: Any, /) -> list[Slot]:
    return []
