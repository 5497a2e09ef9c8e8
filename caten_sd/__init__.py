"""One vocabulary between every model object, every checkpoint file and every key layout.

This is the door for users. ``caten_sd.layout`` is for authors of a layout, ``caten_sd.extend`` for
those who teach a type, a framework or a format, and ``caten_sd.nn`` has modules.

The public names are imported when they are first used, so that ``import caten_sd`` costs nothing
and work on files never imports torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from caten_sd.first_use import homes, imported

if TYPE_CHECKING:
    from caten_sd.blocks.unpacked_weights import to_floats as to_floats
    from caten_sd.errors import AmbiguousMethodError as AmbiguousMethodError
    from caten_sd.errors import CatenError as CatenError
    from caten_sd.errors import DispatchError as DispatchError
    from caten_sd.errors import DuplicateMethodError as DuplicateMethodError
    from caten_sd.errors import FormatError as FormatError
    from caten_sd.errors import LayoutError as LayoutError
    from caten_sd.errors import LayoutWarning as LayoutWarning
    from caten_sd.errors import LispError as LispError
    from caten_sd.errors import LispWarning as LispWarning
    from caten_sd.errors import LoadError as LoadError
    from caten_sd.errors import LoadWarning as LoadWarning
    from caten_sd.errors import ModelError as ModelError
    from caten_sd.errors import NoApplicableMethodError as NoApplicableMethodError
    from caten_sd.errors import NoNextMethodError as NoNextMethodError
    from caten_sd.errors import OptionError as OptionError
    from caten_sd.errors import StateDictError as StateDictError
    from caten_sd.files.checkpoint import read_state_dict as read_state_dict
    from caten_sd.files.checkpoint import write_state_dict as write_state_dict
    from caten_sd.files.conversion import Conversion as Conversion
    from caten_sd.files.conversion import Estimate as Estimate
    from caten_sd.files.conversion import convert as convert
    from caten_sd.files.merged_adapters import merge_lora as merge_lora
    from caten_sd.lisp.lisp_file import LispFile as LispFile
    from caten_sd.lisp.lisp_file import read_lisp as read_lisp
    from caten_sd.lisp.port.ported_module import PortedModule as PortedModule
    from caten_sd.lisp.port.ported_module import port as port
    from caten_sd.loading.between import between as between
    from caten_sd.loading.load import load_state_dict as load_state_dict
    from caten_sd.loading.load import plan_load as plan_load
    from caten_sd.loading.repairs import Fill as Fill
    from caten_sd.loading.repairs import PadRows as PadRows
    from caten_sd.loading.repairs import Skip as Skip
    from caten_sd.loading.repairs import TrimRows as TrimRows
    from caten_sd.loading.repairs import fill as fill
    from caten_sd.loading.repairs import pad_rows as pad_rows
    from caten_sd.loading.repairs import skip as skip
    from caten_sd.loading.repairs import trim_rows as trim_rows
    from caten_sd.loading.report import LoadPlan as LoadPlan
    from caten_sd.loading.report import LoadReport as LoadReport
    from caten_sd.loading.report import LoadRow as LoadRow
    from caten_sd.loading.report import Outcome as Outcome
    from caten_sd.loading.with_state import with_state as with_state
    from caten_sd.mapping.detection import Detection as Detection
    from caten_sd.mapping.detection import detect_layout as detect_layout
    from caten_sd.mapping.findings import Findings as Findings
    from caten_sd.mapping.findings import Misfit as Misfit
    from caten_sd.mapping.layout import Layout as Layout
    from caten_sd.mapping.layout_check import LayoutCheck as LayoutCheck
    from caten_sd.mapping.layout_check import check_layout as check_layout
    from caten_sd.mapping.layout_plan import LayoutPlan as LayoutPlan
    from caten_sd.mapping.layout_plan import plan_layout as plan_layout
    from caten_sd.mapping.layout_plan import to_layout as to_layout
    from caten_sd.mapping.weighing import Candidate as Candidate
    from caten_sd.model_files import load as load
    from caten_sd.model_files import save as save
    from caten_sd.objects.extract import get_state_dict as get_state_dict
    from caten_sd.objects.extract import to_state_dict as to_state_dict
    from caten_sd.objects.slots import buffer as buffer
    from caten_sd.objects.slots import slot as slot
    from caten_sd.objects.slots import slot_metadata as slot_metadata
    from caten_sd.objects.slots import transient as transient
    from caten_sd.objects.snapshot import snapshot as snapshot
    from caten_sd.proof.diff_rows import DiffRow as DiffRow
    from caten_sd.proof.diff_tally import Change as Change
    from caten_sd.proof.difference import Diff as Diff
    from caten_sd.proof.difference import diff as diff
    from caten_sd.proof.explanation import Explanation as Explanation
    from caten_sd.proof.explanation import MatchedTensors as MatchedTensors
    from caten_sd.proof.explanation import Undecided as Undecided
    from caten_sd.proof.explanation import explain as explain
    from caten_sd.proof.likeness import Likeness as Likeness
    from caten_sd.proof.parting import LayerGap as LayerGap
    from caten_sd.proof.suggestion import Suggestion as Suggestion
    from caten_sd.proof.suggestion import suggest as suggest
    from caten_sd.proof.verification import Verification as Verification
    from caten_sd.proof.verification import verify as verify
    from caten_sd.state.block_tensor import BlockTensor as BlockTensor
    from caten_sd.state.digest import digest as digest
    from caten_sd.state.dtype import DType as DType
    from caten_sd.state.keys import lisp_style_dict_key as lisp_style_dict_key
    from caten_sd.state.keys import pytorch_style_dict_key as pytorch_style_dict_key
    from caten_sd.state.lazy_tensor import LazyTensor as LazyTensor
    from caten_sd.state.leaf import Opaque as Opaque
    from caten_sd.state.leaf import Spec as Spec
    from caten_sd.state.sheet import HasSheet as HasSheet
    from caten_sd.state.sheet import Sheet as Sheet
    from caten_sd.state.sheet_groups import SheetGroup as SheetGroup
    from caten_sd.state.sheet_groups import SheetRow as SheetRow
    from caten_sd.state.state_dict import StateDict as StateDict
    from caten_sd.training.randomness import ProcessRandomness as ProcessRandomness
    from caten_sd.training.saved_optimizer import name_positions as name_positions
    from caten_sd.training.training_state import TrainingState as TrainingState

_HOMES = homes(
    {
        "blocks.unpacked_weights": "to_floats",
        "errors": "AmbiguousMethodError CatenError DispatchError DuplicateMethodError FormatError"
        " LayoutError LayoutWarning LispError LispWarning LoadError LoadWarning ModelError"
        " NoApplicableMethodError NoNextMethodError OptionError StateDictError",
        "files.checkpoint": "read_state_dict write_state_dict",
        "files.conversion": "Conversion Estimate convert",
        "files.merged_adapters": "merge_lora",
        "lisp.lisp_file": "LispFile read_lisp",
        "lisp.port.ported_module": "PortedModule port",
        "loading.between": "between",
        "loading.load": "load_state_dict plan_load",
        "loading.repairs": "Fill PadRows Skip TrimRows fill pad_rows skip trim_rows",
        "loading.report": "LoadPlan LoadReport LoadRow Outcome",
        "loading.with_state": "with_state",
        "mapping.detection": "Detection detect_layout",
        "mapping.findings": "Findings Misfit",
        "mapping.weighing": "Candidate",
        "mapping.layout": "Layout",
        "mapping.layout_check": "LayoutCheck check_layout",
        "mapping.layout_plan": "LayoutPlan plan_layout to_layout",
        "model_files": "load save",
        "objects.extract": "get_state_dict to_state_dict",
        "objects.slots": "buffer slot slot_metadata transient",
        "objects.snapshot": "snapshot",
        "proof.diff_rows": "DiffRow",
        "proof.diff_tally": "Change",
        "proof.difference": "Diff diff",
        "proof.explanation": "Explanation MatchedTensors Undecided explain",
        "proof.likeness": "Likeness",
        "proof.parting": "LayerGap",
        "proof.suggestion": "Suggestion suggest",
        "proof.verification": "Verification verify",
        "state.block_tensor": "BlockTensor",
        "state.digest": "digest",
        "state.dtype": "DType",
        "state.keys": "lisp_style_dict_key pytorch_style_dict_key",
        "state.lazy_tensor": "LazyTensor",
        "state.leaf": "Opaque Spec",
        "state.sheet": "HasSheet Sheet",
        "state.sheet_groups": "SheetGroup SheetRow",
        "state.state_dict": "StateDict",
        "training.randomness": "ProcessRandomness",
        "training.saved_optimizer": "name_positions",
        "training.training_state": "TrainingState",
    }
)
_DOORS = ("extend", "layout", "nn")

__all__ = sorted(_HOMES)  # pyright: ignore
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in _DOORS:
        return importlib.import_module(f"{__name__}.{name}")
    return imported(__name__, _HOMES, name)


def __dir__() -> list[str]:
    return [*__all__, *_DOORS, "__version__"]
