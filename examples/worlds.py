"""Let the shipped GPT-2, a model of torch, write its line in Flax.

python examples/worlds.py [--prompt TEXT] [--tokens N]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

from caten_sd import CatenError, between, load_state_dict, read_state_dict, to_layout
from caten_sd.nn import Transformer, generate, gpt2_from_config

try:
    import jax.numpy as jnp
    from flax import nnx
except ImportError:
    sys.exit("this example needs Flax: pip install 'caten-sd[flax]'")

FOLDER = Path(__file__).with_name("tiny_gpt2")


class Block(nnx.Module):
    """Attention, then a feed-forward net; each reads the normalized input and adds to it."""

    def __init__(self, dim: int, heads: int, rngs: nnx.Rngs) -> None:
        self.ln_1 = nnx.LayerNorm(dim, epsilon=1e-5, rngs=rngs)
        self.attn = nnx.MultiHeadAttention(heads, dim, decode=False, rngs=rngs)
        self.ln_2 = nnx.LayerNorm(dim, epsilon=1e-5, rngs=rngs)
        self.c_fc = nnx.Linear(dim, 4 * dim, rngs=rngs)
        self.c_proj = nnx.Linear(4 * dim, dim, rngs=rngs)

    def __call__(self, x: Any, mask: Any) -> Any:
        x = x + self.attn(self.ln_1(x), mask=mask)
        return x + self.c_proj(nnx.gelu(self.c_fc(self.ln_2(x))))


class GPT2(nnx.Module):
    """GPT-2, whose output layer is its embedding."""

    def __init__(self, config: dict[str, Any], rngs: nnx.Rngs) -> None:
        dim, heads = config["n_embd"], config["n_head"]
        self.wte = nnx.Embed(config["vocab_size"], dim, rngs=rngs)
        self.wpe = nnx.Embed(config["n_positions"], dim, rngs=rngs)
        self.blocks = nnx.List([Block(dim, heads, rngs) for _ in range(config["n_layer"])])
        self.ln_f = nnx.LayerNorm(dim, epsilon=1e-5, rngs=rngs)

    def __call__(self, ids: Any) -> Any:
        x = self.wte(ids) + self.wpe(jnp.arange(ids.shape[1]))
        mask = nnx.make_causal_mask(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.wte.attend(self.ln_f(x))


def written(model: GPT2, text: bytes, count: int) -> bytes:
    """Return a text and the most likely bytes after it."""
    length = len(text) + count
    ids = jnp.zeros((1, length), int).at[0, : len(text)].set(jnp.array(list(text)))
    step = nnx.jit(lambda model, ids, at: model(ids)[0, at - 1].argmax())
    for at in range(len(text), length):
        ids = ids.at[0, at].set(step(model, ids, at))
    return bytes(ids[0].tolist())


def run(prompt: str, tokens: int) -> int:
    """Print both lines; return 0 if they are equal."""
    config = json.loads((FOLDER / "config.json").read_text("utf-8"))
    ours, model = gpt2_from_config(config), GPT2(config, nnx.Rngs(0))
    with read_state_dict(FOLDER) as file:
        state = to_layout(file, "caten-gpt2")
        load_state_dict(ours, state, strict=True)
        layout = between(state, model)
        load_state_dict(model, to_layout(state, layout), strict=True)
    print(f"{len(layout.rows)} rows lead from the keys of torch to those of Flax")
    text = prompt.encode()
    line = by_torch(ours, text, tokens), written(model, text, tokens)
    for name, each in zip(("torch", "flax "), line, strict=True):
        print(f"{name}: {' '.join(each.decode(errors='replace').split())}")
    return 0 if line[0] == line[1] else 1


def by_torch(model: Transformer, text: bytes, count: int) -> bytes:
    """Return what torch writes after a text."""
    return bytes(generate(model, torch.tensor([list(text)]), count)[0].tolist())


def main() -> int:
    """Read the command line, and let both frameworks write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompt", default="The first thing ", metavar="TEXT")
    parser.add_argument("--tokens", type=int, default=60, metavar="N")
    options = parser.parse_args()
    try:
        return run(options.prompt, options.tokens)
    except CatenError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
