"""A tiny Llama of megatron-core, in one process on the CPU: its logits, and the folder it saves.

It runs by itself, since megatron-core needs a process group, and patches that its tests have too.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from pathlib import Path
from typing import Any

import torch

from caten_sd import load_state_dict, to_layout
from tests.layouts.test_llama import SIZES, random_model


def patch_cuda() -> None:
    """Let megatron-core run where no CUDA is."""
    torch.cuda.current_device = lambda: "cpu"  # type: ignore[assignment,return-value]
    torch.cuda.synchronize = lambda *a: None
    random = importlib.import_module("megatron.core.tensor_parallel.random")
    random.CudaRNGStatesTracker.fork = lambda *a, **k: contextlib.nullcontext()


def build(**options: Any) -> Any:
    """Return the model of megatron-core with the sizes of the tests."""
    more = options.pop("config", {})
    specs = importlib.import_module("megatron.core.models.gpt.gpt_layer_specs")
    config = importlib.import_module("megatron.core.transformer").TransformerConfig(
        num_layers=SIZES["num_hidden_layers"],
        hidden_size=SIZES["hidden_size"],
        ffn_hidden_size=SIZES["intermediate_size"],
        num_attention_heads=SIZES["num_attention_heads"],
        num_query_groups=SIZES["num_key_value_heads"],
        kv_channels=SIZES["head_dim"],
        use_cpu_initialization=True,
        add_bias_linear=False,
        gated_linear_unit=True,
        activation_func=torch.nn.functional.silu,
        normalization="RMSNorm",
        layernorm_epsilon=1e-6,
        hidden_dropout=0,
        attention_dropout=0,
        **more,
    )
    return (
        importlib.import_module("megatron.core.models.gpt")
        .GPTModel(
            config,
            specs.get_gpt_layer_local_spec(normalization="RMSNorm"),
            SIZES["vocab_size"],
            SIZES["max_position_embeddings"],
            share_embeddings_and_output_weights=False,
            position_embedding_type="rope",
            **options,
        )
        .eval()
    )


def main(folder: Path) -> None:
    """Write how far the logits are apart, and save the model the way Megatron does."""
    patch_cuda()
    store = f"file://{folder}/store"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    importlib.import_module("megatron.core.parallel_state").initialize_model_parallel()
    hub, model = random_model("Llama"), build()
    layout = "megatron-llama-local"
    state = to_layout(hub.state_dict(), layout, from_layout="hf-llama", config=hub.config)
    load_state_dict(model, state, strict=True)
    ids = torch.tensor([[1, 5, 7, 9, 3, 2]])
    mask = torch.triu(torch.ones(1, 1, 6, 6, dtype=torch.bool), 1)
    with torch.no_grad():
        difference = (model(ids, torch.arange(6)[None], mask) - hub(ids).logits).abs().max()
    (folder / "difference").write_text(str(difference.item()))
    saving = importlib.import_module("megatron.core.dist_checkpointing")
    (folder / "saved").mkdir()
    sharded = model.sharded_state_dict()
    saving.save(sharded, str(folder / "saved"), sharded_strategy=("torch_dist", 1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
