"""Qwen with experts as mlx-lm has it."""

from __future__ import annotations

from caten_sd.mapping.mlx_lm import of_mlx_lm

QWEN2_MOE = of_mlx_lm("hf-qwen2_moe", "mlx-qwen2_moe")
QWEN3_MOE = of_mlx_lm("hf-qwen3_moe", "mlx-qwen3_moe")
