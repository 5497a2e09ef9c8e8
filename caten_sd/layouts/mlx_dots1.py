"""dots1 as mlx-lm has it."""

from __future__ import annotations

from caten_sd.mapping.mlx_lm import of_mlx_lm

DOTS1 = of_mlx_lm("hf-dots1", "mlx-dots1", experts="experts")
