"""llama.cpp's converter, which lies in the source distribution of llama-cpp-python and is Python.

It runs in a process of its own, since its gguf package is newer than the released one. The folder
of llama.cpp is named by CATEN_SD_LLAMA_CPP.
"""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path
from typing import Any


def import_converter(folder: Path) -> dict[str, str]:
    """Import the converter; return the module for each class of transformers that it takes."""
    for place in (folder / "gguf-py", folder):
        sys.path.insert(0, str(place))
    logging.disable(logging.WARNING)
    conversion: Any = importlib.import_module("conversion")
    return dict(conversion.TEXT_MODEL_MAP)


def convert(model: Path, target: Path, entries: dict[str, Any]) -> None:
    """Write the GGUF of a folder of transformers, in float32.

    ``entries`` go into its configuration. The vocabulary is left out: it
    needs a tokenizer and holds no weights.
    """
    conversion: Any = importlib.import_module("conversion")
    gguf: Any = importlib.import_module("gguf")
    hparams = {**conversion.ModelBase.load_hparams(model, False), **entries}
    name = conversion.get_model_architecture(hparams, conversion.ModelType.TEXT)
    kind = conversion.get_model_class(name)
    for word in [word for word in dir(kind) if "set_vocab" in word]:
        setattr(kind, word, lambda self, *args, **kwargs: None)
    kind.no_mtp = True
    options = {"eager": True, "model_name": "tiny", "hparams": hparams}
    made = kind(model, gguf.LlamaFileType.ALL_F32, target, **options)
    made.write()
