"""Port GPT-2 from Lisp to Python, load trained weights into it, let it write, and train it a step.

python examples/port_gpt2.py [--prompt TEXT] [--tokens N]
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from caten_sd import (
    CatenError,
    detect_layout,
    get_state_dict,
    load,
    plan_load,
    port,
    read_state_dict,
    to_layout,
)
from caten_sd.nn import Transformer, generate

HERE = Path(__file__).parent
LISP, PYTHON = HERE / "lisp" / "gpt2.lisp", HERE / "lisp" / "gpt2.py"
LISTING = HERE / "lisp" / "caten_keys.txt"  # what Caten's documentation prints
WEIGHTS = HERE / "tiny_gpt2"  # in the layout of Hugging Face


def ported_module() -> ModuleType:
    """Port the Lisp, which gives the Python next to it, and import that."""
    ported = port(LISP)
    same = ported.text == PYTHON.read_text("utf-8") and not ported.problems
    print(f"{LISP.name} becomes {PYTHON.name}, byte for byte: {same}")
    spec = importlib.util.spec_from_file_location("ported_gpt2", PYTHON)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@torch.no_grad()
def written(model: Any, ids: Tensor, count: int) -> Tensor:
    """Return the ids and the most likely ones after them; each call sees only what is new."""
    seen = 0
    for _ in range(count):
        scores = model(ids[:, seen:], seen)
        seen = ids.shape[1]
        ids = torch.cat((ids, scores[:, -1:].argmax(-1)), dim=1)
    return ids


def trained_step(model: Any, ids: Tensor) -> tuple[float, float]:
    """Take one step of training on a text; return the loss before and after it."""

    def loss() -> Tensor:
        scores = model(ids[:, :-1], 0)
        return functional.cross_entropy(scores.flatten(0, 1), ids[:, 1:].flatten())

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    before = loss()
    before.backward()
    optimizer.step()
    with torch.no_grad():
        return before.item(), loss().item()


def run(prompt: str, tokens: int) -> int:
    """Print what the port gives; return 0 if all of it is as in Caten."""
    ported = ported_module()
    listing = str(get_state_dict(ported.Transformer(32, 2, 2, 1e-5, 32)))
    same_keys = LISTING.read_text("utf-8").splitlines() == listing.splitlines()[2:-1]
    print(f"its keys and shapes are those that Caten documents: {same_keys}")
    sizes = (96, 4, 4, 1e-5, 256)
    model = ported.Transformer(*sizes, max_seq_len=256)
    with read_state_dict(WEIGHTS) as file:
        print(str(detect_layout(file)).partition("\n")[0])
        plan = plan_load(model, to_layout(file, "caten-gpt2"))
        print(plan)
        plan.apply()
    reference = load(Transformer(*sizes, max_seq_len=256), WEIGHTS, layout="caten-gpt2")
    ids = torch.tensor([list(prompt.encode())])
    found = written(model, ids, tokens)
    same_text = torch.equal(found, generate(reference, ids, tokens))
    print(" ".join(bytes(found[0].tolist()).decode(errors="replace").split()))
    print(f"caten_sd.nn.Transformer writes the same: {same_text}")
    before, after = trained_step(model, found)
    print(f"a step of training takes the loss of this line from {before:.3f} to {after:.3f}")
    return 0 if same_keys and same_text and after < before else 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--prompt", default="In the beginning")
    parser.add_argument("--tokens", type=int, default=120)
    options = parser.parse_args(arguments)
    try:
        return run(options.prompt, options.tokens)
    except CatenError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
