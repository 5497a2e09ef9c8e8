"""Mellum as mlx-lm has it."""

from __future__ import annotations

from caten_sd.mapping.mlx_lm import of_mlx_lm

MELLUM = of_mlx_lm("hf-mellum", "mlx-mellum")
