"""What a GGUF has of the files next to its source: names, tokenizer, scaled frequencies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caten_sd.files.format import Described
from caten_sd.formats.gguf.file_types import FILE_TYPE, file_type
from caten_sd.formats.gguf.general_entries import general_entries
from caten_sd.formats.gguf.pooling import pooling_type
from caten_sd.formats.gguf.rotary_factors import rotary_factors
from caten_sd.formats.gguf.tokenizer import PREFIX, tokenizer_entries
from caten_sd.state.leaf import Spec, spec_or_none
from caten_sd.state.state_dict import StateDict

ARCHITECTURE, EMBEDDING = "general.architecture", "token_embd.weight"
TYPES, CLASSES, BERT = "token_types.weight", "cls.output.weight", "bert"
_MOST_LABELS = 1 << 16
TOKENIZER = f"{PREFIX}model"


def described(state_dict: StateDict, folder: Path) -> Described:
    """Return what is missing of a model in a layout of GGUF; nothing of anything else."""
    architecture = state_dict.metadata.get(ARCHITECTURE)
    config = state_dict.config if isinstance(state_dict.config, Mapping) else {}
    if not isinstance(architecture, str):
        return Described({}, {})
    config = _with_text(config)
    factors = rotary_factors(architecture, config, state_dict.metadata)
    leaves = {key: leaf for key, leaf in factors.items() if key not in state_dict}
    general = _general(state_dict, leaves, folder, config)
    known = spec_or_none(state_dict.get(EMBEDDING))
    if known is None or len(known.shape) != 2:
        return Described(general, leaves)
    if TOKENIZER in state_dict.metadata:
        return Described(general, leaves)
    tokenizer = tokenizer_entries(folder, config, known.shape[0])
    return Described({**general, **tokenizer.entries}, leaves, tokenizer.notes)


def _general(
    state_dict: StateDict, more: Mapping[str, Any], folder: Path, config: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the entries that say which model it is; those that were there before count."""
    specs = {key: known for key, leaf in {**state_dict, **more}.items()
             if (known := spec_or_none(leaf)) and key not in state_dict.ties}  # fmt: skip
    entries = {FILE_TYPE: file_type(specs), **general_entries(folder, config, specs)}
    architecture = state_dict.metadata[ARCHITECTURE]
    entries[f"{architecture}.pooling_type"] = pooling_type(folder)
    entries[f"{architecture}.classifier.output_labels"] = _labels(specs.get(CLASSES), config)
    entries[f"{PREFIX}token_type_count"] = _segments(architecture, specs.get(TYPES), config)
    return {key: value for key, value in entries.items() if value is not None}


def _segments(architecture: str, known: Spec | None, config: Mapping[str, Any]) -> int | None:
    """Return how many kinds of segments a text may have, without which no BERT is opened."""
    if known is not None:
        return known.shape[0]
    said = config.get("type_vocab_size", 1)
    return said if architecture == BERT and type(said) is int and 0 < said < 1 << 31 else None


def _labels(known: Spec | None, config: Mapping[str, Any]) -> list[str] | None:
    """Return the names of the classes that a model tells apart, which llama.cpp counts."""
    if known is None or known.shape[0] > _MOST_LABELS:
        return None
    said = config.get("id2label")
    named = said if isinstance(said, Mapping) else {}
    names = [str(named.get(str(n), f"LABEL_{n}")) for n in range(known.shape[0])]
    return [name.encode("utf-8", "replace").decode() for name in names]


def _with_text(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with the entries of its text part, which its own count before."""
    text = config.get("text_config")
    return {**(text if isinstance(text, Mapping) else {}), **config}
