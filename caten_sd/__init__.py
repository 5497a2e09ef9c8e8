"""One vocabulary between every model object, every checkpoint file and every key layout.

The public names are imported when they are first used, so that ``import caten_sd`` costs nothing
and work on files never imports torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caten_sd.dispatch.generic import generic as generic
    from caten_sd.errors import CatenError as CatenError
    from caten_sd.errors import FormatError as FormatError
    from caten_sd.errors import LayoutError as LayoutError
    from caten_sd.errors import LayoutWarning as LayoutWarning
    from caten_sd.errors import LoadError as LoadError
    from caten_sd.errors import LoadWarning as LoadWarning
    from caten_sd.errors import StateDictError as StateDictError
    from caten_sd.files.checkpoint import read_state_dict as read_state_dict
    from caten_sd.files.checkpoint import write_state_dict as write_state_dict
    from caten_sd.files.conversion import convert as convert
    from caten_sd.files.format import Format as Format
    from caten_sd.files.format import read as read
    from caten_sd.files.format import recognize as recognize
    from caten_sd.files.format import write as write
    from caten_sd.loading.load import load_state_dict as load_state_dict
    from caten_sd.loading.load import plan_load as plan_load
    from caten_sd.loading.repairs import fill as fill
    from caten_sd.loading.repairs import pad_rows as pad_rows
    from caten_sd.loading.repairs import skip as skip
    from caten_sd.loading.repairs import trim_rows as trim_rows
    from caten_sd.mapping.assembly import Concat as Concat
    from caten_sd.mapping.assembly import Split as Split
    from caten_sd.mapping.assembly import Stack as Stack
    from caten_sd.mapping.assembly import Unstack as Unstack
    from caten_sd.mapping.detection import detect_layout as detect_layout
    from caten_sd.mapping.heads import Regroup as Regroup
    from caten_sd.mapping.heads import Rotary as Rotary
    from caten_sd.mapping.heads import packing as packing
    from caten_sd.mapping.layout import Layout as Layout
    from caten_sd.mapping.layout_plan import plan_layout as plan_layout
    from caten_sd.mapping.layout_plan import to_layout as to_layout
    from caten_sd.mapping.operations import Chain as Chain
    from caten_sd.mapping.operations import Offset as Offset
    from caten_sd.mapping.operations import Transpose as Transpose
    from caten_sd.mapping.rows import Drop as Drop
    from caten_sd.mapping.rows import Row as Row
    from caten_sd.objects.call import call as call
    from caten_sd.objects.extract import get_state_dict as get_state_dict
    from caten_sd.objects.extract import to_state_dict as to_state_dict
    from caten_sd.objects.place import assign as assign
    from caten_sd.objects.slots import buffer as buffer
    from caten_sd.objects.slots import slot as slot
    from caten_sd.objects.slots import slot_metadata as slot_metadata
    from caten_sd.objects.slots import transient as transient
    from caten_sd.objects.snapshot import snapshot as snapshot
    from caten_sd.state.digest import digest as digest
    from caten_sd.state.keys import lisp_style_dict_key as lisp_style_dict_key
    from caten_sd.state.keys import pytorch_style_dict_key as pytorch_style_dict_key
    from caten_sd.state.leaf import as_array as as_array
    from caten_sd.state.leaf import dequantize as dequantize
    from caten_sd.state.leaf import spec as spec
    from caten_sd.state.state_dict import StateDict as StateDict
    from caten_sd.training.randomness import ProcessRandomness as ProcessRandomness
    from caten_sd.training.saved_optimizer import name_positions as name_positions
    from caten_sd.training.training_state import TrainingState as TrainingState

_HOMES = {
    "dispatch.generic": "generic",
    "errors": "CatenError FormatError LayoutError LayoutWarning LoadError LoadWarning"
    " StateDictError",
    "files.checkpoint": "read_state_dict write_state_dict",
    "files.conversion": "convert",
    "files.format": "Format read recognize write",
    "loading.load": "load_state_dict plan_load",
    "loading.repairs": "fill pad_rows skip trim_rows",
    "mapping.assembly": "Concat Split Stack Unstack",
    "mapping.detection": "detect_layout",
    "mapping.heads": "Regroup Rotary packing",
    "mapping.layout": "Layout",
    "mapping.operations": "Chain Offset Transpose",
    "mapping.layout_plan": "plan_layout to_layout",
    "mapping.rows": "Drop Row",
    "objects.call": "call",
    "objects.extract": "get_state_dict to_state_dict",
    "objects.place": "assign",
    "objects.slots": "buffer slot slot_metadata transient",
    "objects.snapshot": "snapshot",
    "state.digest": "digest",
    "state.keys": "lisp_style_dict_key pytorch_style_dict_key",
    "state.leaf": "as_array dequantize spec",
    "state.state_dict": "StateDict",
    "training.randomness": "ProcessRandomness",
    "training.saved_optimizer": "name_positions",
    "training.training_state": "TrainingState",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = sorted(_HOME)  # pyright: ignore
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'caten_sd' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"caten_sd.{home}"), name)
    # The name may be its module's too (generic): the function is what is meant.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
