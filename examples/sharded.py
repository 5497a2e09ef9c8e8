"""Load a Hugging Face GPT-2 into a model divided among processes, save it together, load it again.

torchrun --nproc-per-node 2 examples/sharded.py [FOLDER] [--out FOLDER]

Each process reads only its own shard of the file, and nothing is ever gathered. 4 processes can
load what 2 saved: run it again with --nproc-per-node 4 and gpt2.dcp as the FOLDER.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn import functional

from caten_sd import (
    CatenError,
    get_state_dict,
    load_state_dict,
    plan_load,
    read_state_dict,
    to_layout,
    write_state_dict,
)

FOLDER = Path(__file__).with_name("tiny_gpt2")


class Norm(nn.Module):
    """LayerNorm under Caten's names."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.affine, self.bias = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, self.affine.shape, self.affine, self.bias)


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn, self.c_proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        chunks = self.c_attn(x).chunk(3, dim=-1)
        query, key, value = (c.unflatten(-1, (self.heads, -1)).transpose(1, 2) for c in chunks)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.c_proj(mixed.transpose(1, 2).flatten(-2))


class Mlp(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(functional.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attn, self.mlp = Attention(dim, heads), Mlp(dim)
        self.ln_1, self.ln_2 = Norm(dim), Norm(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT2(nn.Module):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        dim = config["n_embd"]
        self.wte = nn.Embedding(config["vocab_size"], dim)
        self.wpe = nn.Embedding(config["n_positions"], dim)
        self.h = nn.ModuleList(Block(dim, config["n_head"]) for _ in range(config["n_layer"]))
        self.ln_f = Norm(dim)
        self.lm_head = nn.Linear(dim, config["vocab_size"], bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


def build(config: dict[str, Any]) -> GPT2:
    """Return the model without data, each block and the rest divided among all processes."""
    with torch.device("meta"):
        model = GPT2(config)
    for block in model.h:
        fully_shard(block)
    return fully_shard(model)


def load(config: dict[str, Any], state: Any) -> GPT2:
    """Return the model with this process's shard of the state."""
    model = build(config)
    plan = plan_load(model, state)
    if dist.get_rank() == 0:
        print(plan)
    return load_state_dict(model, state, strict=True)


def shards(model: GPT2) -> dict[str, Tensor]:
    """Return this process's shards of the model."""
    leaves = get_state_dict(model).items()
    return {key: leaf.to_local() for key, leaf in leaves if isinstance(leaf, DTensor)}


def generate(model: GPT2, prompt: str, count: int) -> str:
    """Return the prompt and the most likely text that follows it, byte by byte."""
    tokens = torch.tensor([list(prompt.encode())])
    with torch.no_grad():
        for _ in range(count):
            following = model(tokens)[:, -1].argmax(-1, keepdim=True)
            tokens = torch.cat([tokens, following], 1)
    return " ".join(bytes(tokens[0].tolist()).decode(errors="replace").split())


def run(source: Path, out: Path) -> None:
    config = json.loads((FOLDER / "config.json").read_bytes())
    with read_state_dict(source) as checkpoint:
        model = load(config, to_layout(checkpoint, "caten-gpt2"))
        total = sum(leaf.nbytes for leaf in GPT2(config).parameters())
    own = sum({leaf.data_ptr(): leaf.nbytes for leaf in shards(model).values()}.values())
    name = f"process {dist.get_rank()} of {dist.get_world_size()}"
    print(f"{name} read {own:,} of {total:,} bytes", flush=True)
    text = generate(model, "In the beginning", 40)
    target = out / "gpt2.dcp"
    write_state_dict(get_state_dict(model), target)
    with read_state_dict(target) as checkpoint:
        again = load(config, checkpoint)
    first, second = shards(model), shards(again)
    same = all(torch.equal(first[key], second[key]) for key in first)
    print(f"{name} loaded {'the same' if same else 'something else'} from {target}", flush=True)
    if dist.get_rank() == 0:
        print(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("source", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--out", type=Path, default=Path())
    options = parser.parse_args()
    dist.init_process_group("gloo")
    try:
        run(options.source, options.out)
        return 0
    except CatenError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    sys.exit(main())
