"""OLMoE as mlx-lm has it."""

from __future__ import annotations

from caten_sd.mapping.mlx_lm import of_mlx_lm

OLMOE = of_mlx_lm("hf-olmoe", "mlx-olmoe")
