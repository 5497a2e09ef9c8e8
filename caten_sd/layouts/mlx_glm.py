"""GLM with experts as mlx-lm has it."""

from __future__ import annotations

from caten_sd.mapping.mlx_lm import of_mlx_lm

GLM4_MOE = of_mlx_lm("hf-glm4_moe", "mlx-glm4_moe")
