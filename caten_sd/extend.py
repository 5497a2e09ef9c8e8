"""What teaches a type, a framework or a format: the generic functions, and what they take and give.

Nine of them are for every user: ``to_state_dict``, ``assign``, ``spec``, ``as_array``,
``dequantize``, ``recognize``, ``read``, ``write`` and ``call``. Nine more are for the author of an
adapter: ``slots_of``, ``put``, ``replacement``, ``refusal``, ``memory``, ``unwrap``,
``local_shard``, ``hooks_of`` and ``component_of``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caten_sd.first_use import homes, imported

if TYPE_CHECKING:
    from caten_sd.blocks.block_types import BlockType as BlockType
    from caten_sd.dispatch.generic import GenericFunction as GenericFunction
    from caten_sd.dispatch.generic import generic as generic
    from caten_sd.dispatch.method import Method as Method
    from caten_sd.files.format import Contents as Contents
    from caten_sd.files.format import Described as Described
    from caten_sd.files.format import Format as Format
    from caten_sd.files.format import read as read
    from caten_sd.files.format import recognize as recognize
    from caten_sd.files.format import write as write
    from caten_sd.files.stored_specs import stored_specs as stored_specs
    from caten_sd.loading.owners import FileLayout as FileLayout
    from caten_sd.loading.owners import ForgivenKeys as ForgivenKeys
    from caten_sd.loading.owners import OwnerHooks as OwnerHooks
    from caten_sd.loading.owners import SynthesizedSlot as SynthesizedSlot
    from caten_sd.loading.owners import hooks_of as hooks_of
    from caten_sd.mapping.layer_kinds import StandardLayer as StandardLayer
    from caten_sd.mapping.operations import Operation as Operation
    from caten_sd.objects.call import call as call
    from caten_sd.objects.extract import to_state_dict as to_state_dict
    from caten_sd.objects.owner import put as put
    from caten_sd.objects.owner import slots_of as slots_of
    from caten_sd.objects.owner import unwrap as unwrap
    from caten_sd.objects.place import assign as assign
    from caten_sd.objects.place import refusal as refusal
    from caten_sd.objects.place import replacement as replacement
    from caten_sd.objects.shards import LocalShard as LocalShard
    from caten_sd.objects.shards import ProcessGroup as ProcessGroup
    from caten_sd.objects.shards import local_shard as local_shard
    from caten_sd.objects.slots import SlotKind as SlotKind
    from caten_sd.objects.watching import Watch as Watch
    from caten_sd.state.backing import Backing as Backing
    from caten_sd.state.backing import BytesBacking as BytesBacking
    from caten_sd.state.dtype import DTYPES as DTYPES
    from caten_sd.state.dtype import DType as DType
    from caten_sd.state.dtype import numpy_dtype as numpy_dtype
    from caten_sd.state.keys import Pair as Pair
    from caten_sd.state.keys import Path as Path
    from caten_sd.state.lazy_tensor import LazyTensor as LazyTensor
    from caten_sd.state.leaf import Kind as Kind
    from caten_sd.state.leaf import LazyLeaf as LazyLeaf
    from caten_sd.state.leaf import Memory as Memory
    from caten_sd.state.leaf import Numpy as Numpy
    from caten_sd.state.leaf import Spec as Spec
    from caten_sd.state.leaf import Torch as Torch
    from caten_sd.state.leaf import as_array as as_array
    from caten_sd.state.leaf import dequantize as dequantize
    from caten_sd.state.leaf import memory as memory
    from caten_sd.state.leaf import spec as spec
    from caten_sd.state.leaf import spec_of as spec_of
    from caten_sd.state.pieces import pieces as pieces
    from caten_sd.state.source import Folder as Folder
    from caten_sd.state.source import Source as Source
    from caten_sd.training.components import Component as Component
    from caten_sd.training.components import ComponentPlan as ComponentPlan
    from caten_sd.training.components import component_of as component_of
    from caten_sd.training.saved_training import SavedTraining as SavedTraining

_HOMES = homes(
    {
        "blocks.block_types": "BlockType",
        "dispatch.generic": "GenericFunction generic",
        "dispatch.method": "Method",
        "files.format": "Contents Described Format read recognize write",
        "files.stored_specs": "stored_specs",
        "loading.owners": "FileLayout ForgivenKeys OwnerHooks SynthesizedSlot hooks_of",
        "mapping.layer_kinds": "StandardLayer",
        "mapping.operations": "Operation",
        "objects.call": "call",
        "objects.extract": "to_state_dict",
        "objects.owner": "put slots_of unwrap",
        "objects.place": "assign refusal replacement",
        "objects.shards": "LocalShard ProcessGroup local_shard",
        "objects.slots": "SlotKind",
        "objects.watching": "Watch",
        "state.backing": "Backing BytesBacking",
        "state.dtype": "DTYPES DType numpy_dtype",
        "state.keys": "Pair Path",
        "state.lazy_tensor": "LazyTensor",
        "state.leaf": "Kind LazyLeaf Memory Numpy Spec Torch as_array dequantize memory spec"
        " spec_of",
        "state.pieces": "pieces",
        "state.source": "Folder Source",
        "training.components": "Component ComponentPlan component_of",
        "training.saved_training": "SavedTraining",
    }
)

__all__ = sorted(_HOMES)  # pyright: ignore


def __getattr__(name: str) -> Any:
    return imported(__name__, _HOMES, name)


def __dir__() -> list[str]:
    return __all__
