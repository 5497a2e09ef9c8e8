"""Make pairs: a tiny model as transformers saves it, and what llama.cpp's converter makes of it.

``python -m tests.oracles.pairs LLAMA_CPP FOLDER [CLASS ...]`` writes a folder for each class that
both know, with model.safetensors, config.json and model.gguf, or error.txt with the reason.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.oracles import llama_cpp

MEMORY = 8 << 30
SECONDS = 60
MOST_PARAMETERS = 16_000_000
GGUF = "model.gguf"
ERROR = "error.txt"
TOKENIZER = {
    "model": {"type": "BPE", "vocab": {f"t{n}": n for n in range(160)}, "merges": []},
    "added_tokens": [],
}


def make_pairs(converter: Path, target: Path, names: list[str]) -> None:
    """Write the pair of each class that is not there yet; each is made in a process of its own."""
    known = llama_cpp.import_converter(converter)
    import transformers

    from tests.oracles.tiny_models import CHANGES, class_of

    every = {name for name in {*known, *CHANGES} if hasattr(transformers, class_of(name))}
    for name in sorted(names or every):
        folder = target / name
        if not (folder / GGUF).exists():
            _in_own_process(lambda folder=folder: _make_pair(folder))


def _in_own_process(work: Callable[[], None]) -> None:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.alarm(SECONDS)
    work()
    os._exit(0)


def _make_pair(folder: Path) -> None:
    """Write a pair, or the reason why there is none."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        _write_pair(folder)
    except BaseException as error:
        lines = "".join(traceback.format_exception(error))
        (folder / ERROR).write_text(f"{type(error).__name__}: {error}\n\n{lines}")


def _write_pair(folder: Path) -> None:
    from tests.oracles.tiny_models import ENTRIES, tiny_model

    model = tiny_model(folder.name)
    count = sum(tensor.numel() for tensor in model.parameters())
    if count > MOST_PARAMETERS:
        raise ValueError(f"{count} parameters are not a tiny model; give its class smaller sizes")
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    partial = folder / "partial.gguf"
    llama_cpp.convert(folder, partial, ENTRIES.get(folder.name, {}))
    partial.rename(folder / GGUF)


if __name__ == "__main__":
    make_pairs(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
