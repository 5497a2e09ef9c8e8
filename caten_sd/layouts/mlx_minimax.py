"""MiniMax as mlx-lm has it."""

from __future__ import annotations

from caten_sd.mapping.mlx_lm import of_mlx_lm

MINIMAX_M2 = of_mlx_lm("hf-minimax_m2", "mlx-minimax_m2")
