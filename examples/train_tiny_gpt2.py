"""Train examples/tiny_gpt2: a byte-level GPT-2 on one text, in under half an hour on one core.

python examples/train_tiny_gpt2.py [CORPUS] [--out FOLDER] [--steps N]
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from caten_sd import get_state_dict, to_layout, write_state_dict
from caten_sd.nn import Transformer

FOLDER = Path(__file__).with_name("tiny_gpt2")
DIM, HEADS, LAYERS, EPS, VOCAB, CONTEXT = 96, 4, 4, 1e-5, 256, 256
BATCH, PEAK_RATE, WARMUP = 8, 2e-3, 200
CHUNK, HELD_OUT = 4096, 40  # every 40th chunk of 4096 bytes is never trained on


def read_corpus(path: Path) -> tuple[Tensor, Tensor]:
    """Return the training bytes and the held-out bytes, as token ids."""
    raw = path.read_bytes()
    raw = lzma.decompress(raw) if path.suffix == ".xz" else raw
    chunks = torch.tensor(list(raw)).split(CHUNK)
    kept = [chunk for n, chunk in enumerate(chunks) if n % HELD_OUT]
    return torch.cat(kept), torch.cat(chunks[::HELD_OUT])


def build() -> Transformer:
    """Return an untrained model with GPT-2's initial scale and its tied output layer."""
    model = Transformer(DIM, HEADS, LAYERS, EPS, VOCAB, max_seq_len=CONTEXT)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            depth = (2 * LAYERS) ** -0.5 if name.endswith("c_proj.weight") else 1.0
            torch.nn.init.normal_(parameter, std=0.02 * depth)
        elif name.endswith("bias"):
            torch.nn.init.zeros_(parameter)
    model.lm_head.weight = model.wte.weight
    return model


def loss_of(model: Transformer, windows: Tensor) -> Tensor:
    """Return the mean loss in nats per byte over windows (batch, time + 1)."""
    logits = model(windows[:, :-1])
    return cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(model: Transformer, data: Tensor) -> float:
    """Return the loss over all of the held-out text, in nats per byte."""
    batches = data.unfold(0, CONTEXT + 1, CONTEXT).split(BATCH)
    return sum(loss_of(model, b).item() * len(b) for b in batches) / sum(map(len, batches))


def rate_at(step: int, steps: int) -> float:
    """Return the learning rate: a linear warm-up, then a cosine decay to 5% of the peak."""
    warm = min(1.0, (step + 1) / WARMUP)
    return PEAK_RATE * warm * (0.05 + 0.95 * (1 + math.cos(math.pi * step / steps)) / 2)


def train(model: Transformer, data: Tensor, held_out: Tensor, steps: int) -> None:
    """Train on random windows, and print the held-out loss every 500 steps."""
    decayed = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim != 2]
    groups = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=0.1)
    window = torch.arange(CONTEXT + 1)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, steps)
        starts = torch.randint(len(data) - CONTEXT, (BATCH, 1))
        loss = loss_of(model, data[starts + window])
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(model.parameters()), 1.0)
        optimizer.step()
        if (step + 1) % 500 == 0 or step + 1 == steps:
            nats = held_out_loss(model, held_out)
            bits = nats / math.log(2)
            print(f"step {step + 1}: {nats:.4f} nats, {bits:.4f} bits per byte", flush=True)


def save(model: Transformer, folder: Path) -> None:
    """Write a Hugging Face folder; `lm_head.weight` is tied, so the file holds it only once."""
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": VOCAB,
        "n_positions": CONTEXT,
        "n_embd": DIM,
        "n_layer": LAYERS,
        "n_head": HEADS,
        "layer_norm_epsilon": EPS,
        "activation_function": "gelu_new",
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": None,
        **dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0.0),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    state = to_layout(get_state_dict(model), "hf-gpt2", from_layout="caten-gpt2")
    write_state_dict(state, folder / "model.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", nargs="?", type=Path, default=FOLDER / "corpus.txt.xz")
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--steps", type=int, default=9000)
    options = parser.parse_args()
    torch.set_num_threads(1)  # more do not help so small a model, and would change its sums
    torch.manual_seed(0)
    data, held_out = read_corpus(options.corpus)
    model = build()
    train(model, data, held_out, options.steps)
    save(model, options.out)


if __name__ == "__main__":
    main()
