"""What a layout is written with: rows, what a row drops, and the operations between two layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caten_sd.first_use import homes, imported

if TYPE_CHECKING:
    from caten_sd.mapping.assembly import Concat as Concat
    from caten_sd.mapping.assembly import Split as Split
    from caten_sd.mapping.assembly import Stack as Stack
    from caten_sd.mapping.assembly import Unstack as Unstack
    from caten_sd.mapping.axis_lengths import Pad as Pad
    from caten_sd.mapping.axis_lengths import Trim as Trim
    from caten_sd.mapping.bundles import bundle as bundle
    from caten_sd.mapping.extension import extend as extend
    from caten_sd.mapping.heads import Regroup as Regroup
    from caten_sd.mapping.heads import Rotary as Rotary
    from caten_sd.mapping.heads import packing as packing
    from caten_sd.mapping.known import find_layout as find_layout
    from caten_sd.mapping.layer_operations import Flip as Flip
    from caten_sd.mapping.layer_operations import GruBiases as GruBiases
    from caten_sd.mapping.layer_operations import SumOfBiases as SumOfBiases
    from caten_sd.mapping.layout import Layout as Layout
    from caten_sd.mapping.operations import Chain as Chain
    from caten_sd.mapping.operations import Identity as Identity
    from caten_sd.mapping.operations import NegExp as NegExp
    from caten_sd.mapping.operations import Offset as Offset
    from caten_sd.mapping.operations import Operation as Operation
    from caten_sd.mapping.operations import Scale as Scale
    from caten_sd.mapping.operations import Transpose as Transpose
    from caten_sd.mapping.rearrange import Each as Each
    from caten_sd.mapping.rearrange import Rearrange as Rearrange
    from caten_sd.mapping.rows import Constant as Constant
    from caten_sd.mapping.rows import Drop as Drop
    from caten_sd.mapping.rows import Lacks as Lacks
    from caten_sd.mapping.rows import Row as Row

_HOMES = homes(
    {
        "mapping.assembly": "Concat Split Stack Unstack",
        "mapping.bundles": "bundle",
        "mapping.extension": "extend",
        "mapping.heads": "Regroup Rotary packing",
        "mapping.known": "find_layout",
        "mapping.layer_operations": "Flip GruBiases SumOfBiases",
        "mapping.layout": "Layout",
        "mapping.operations": "Chain Identity NegExp Offset Operation Scale Transpose",
        "mapping.axis_lengths": "Pad Trim",
        "mapping.rearrange": "Each Rearrange",
        "mapping.rows": "Constant Drop Lacks Row",
    }
)

__all__ = sorted(_HOMES)  # pyright: ignore


def __getattr__(name: str) -> Any:
    return imported(__name__, _HOMES, name)


def __dir__() -> list[str]:
    return __all__
