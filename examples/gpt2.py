"""Check a Hugging Face GPT-2 against Caten's Transformer, load it, and let it write.

python examples/gpt2.py [FOLDER] [--prompt TEXT] [--tokens N]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from caten_sd import (
    CatenError,
    FormatError,
    detect_layout,
    plan_load,
    read_state_dict,
    to_layout,
)
from caten_sd.nn import Transformer, generate, gpt2_from_config

FOLDER = Path(__file__).with_name("tiny_gpt2")


def build(config_file: Path) -> Transformer:
    """Return the Transformer that a config.json describes, without memory for its weights."""
    try:
        with torch.device("meta"):
            return gpt2_from_config(json.loads(config_file.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:  # ModelError is a ValueError
        raise FormatError(config_file, getattr(error, "strerror", None) or str(error)) from error


def codec(folder: Path, vocab_size: int) -> tuple[Callable[[str], Any], Callable[[Any], str]]:
    """Return functions from text to token ids and back: by bytes, or by tokenizer.json."""
    if vocab_size == 256:
        return lambda text: list(text.encode()), lambda ids: bytes(ids).decode(errors="replace")
    file = folder / "tokenizer.json"
    try:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises plain Exception
        raise FormatError(file, f"it is not a readable tokenizer ({error})") from error
    return lambda text: tokenizer.encode(text).ids, tokenizer.decode


def run(folder: Path, prompt: str, tokens: int) -> int:
    """Print the plan and, if everything fits, a line of text; return the exit code."""
    model = build(folder / "config.json")
    with read_state_dict(folder) as file:
        print(detect_layout(file))
        plan = plan_load(model, to_layout(file, "caten-gpt2"))
        print(plan)
        if not plan.fits:
            return 1
        plan.apply()
    encode, decode = codec(folder, model.vocab_size)
    generator = torch.Generator().manual_seed(0)
    ids = torch.tensor([encode(prompt)])
    output = generate(model, ids, tokens, temperature=0.7, top_k=20, generator=generator)
    print(" ".join(decode(output[0].tolist()).split()))
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--prompt", default="In the beginning")
    parser.add_argument("--tokens", type=int, default=120)
    options = parser.parse_args(arguments)
    try:
        return run(options.folder, options.prompt, options.tokens)
    except CatenError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
