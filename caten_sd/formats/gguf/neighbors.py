"""What a GGUF has of the files next to its source: the tokenizer, and scaled frequencies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caten_sd.files.format import Described
from caten_sd.formats.gguf.rotary_factors import rotary_factors
from caten_sd.formats.gguf.tokenizer import PREFIX, tokenizer_entries
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.state_dict import StateDict

ARCHITECTURE, EMBEDDING = "general.architecture", "token_embd.weight"


def described(state_dict: StateDict, folder: Path) -> Described:
    """Return what is missing of a model in a layout of GGUF; nothing of anything else."""
    architecture = state_dict.metadata.get(ARCHITECTURE)
    config = state_dict.config if isinstance(state_dict.config, Mapping) else {}
    known = spec_or_none(state_dict.get(EMBEDDING))
    if not isinstance(architecture, str) or known is None or len(known.shape) != 2:
        return Described({}, {})
    factors = rotary_factors(architecture, config, state_dict.metadata)
    leaves = {key: leaf for key, leaf in factors.items() if key not in state_dict}
    if any(str(key).startswith(PREFIX) for key in state_dict.metadata):
        return Described({}, leaves)
    tokenizer = tokenizer_entries(folder, _with_text(config), known.shape[0])
    return Described(tokenizer.entries, leaves, tokenizer.notes)


def _with_text(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with the entries of its text part, which its own count before."""
    text = config.get("text_config")
    return {**(text if isinstance(text, Mapping) else {}), **config}
