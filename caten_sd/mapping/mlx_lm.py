"""Layouts of mlx-lm, which stacks the experts of a layer.

Most of its other models have the names and values of Hugging Face, and need no layout of their own.
"""

from __future__ import annotations

from dataclasses import replace

from caten_sd.mapping.assembly import Stack
from caten_sd.mapping.extension import extend
from caten_sd.mapping.known import known_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Row

PROOF = "mlx-lm gives the same names and values"
EXPERT = ".experts.{e}."
NAMES = {"w1.": "gate_proj.", "w2.": "down_proj.", "w3.": "up_proj."}  # Mixtral's, and MLX's


def of_mlx_lm(hub_name: str, name: str, experts: str = "switch_mlp") -> Layout:
    """Return the layout of mlx-lm from that of Hugging Face; ``experts`` is what it calls them."""
    hub = known_layout(hub_name)
    rows = [_row(row, experts) for row in hub.rows if isinstance(row, Row)]
    return extend(hub, name, rows, base=hub if hub.base is None else hub.base, proof=PROOF)


def _row(row: Row, experts: str) -> Row:
    before, sign, after = row.canonical_names[0].partition(EXPERT)
    if not sign:
        return row
    for old, new in NAMES.items():
        after = new + after.removeprefix(old) if after.startswith(old) else after
    return replace(row, here=f"{before}.{experts}.{after}", operation=Stack("e"))
