"""What a GGUF says of a model against llama.cpp's converter: entries that are equal, and reasons.

The pairs are those of test_frozen_layouts.py; CATEN_SD_PAIRS names the folder that has them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caten_sd as sd
from caten_sd.errors import CatenError
from caten_sd.formats.gguf.container import Gguf
from tests.oracles.pairs import GGUF

PAIRS = os.environ.get("CATEN_SD_PAIRS", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PAIRS, reason="CATEN_SD_PAIRS names no folder of pairs"),
]

# Entries of the converter that ours lack, and why.
LACKING = {
    "rope.scaling.type": "its value is none, which llama.cpp takes where nothing is said",
    "classifier.pooling_type": "it belongs to a head, which the layout has no row for",
    "nextn_predict_layers": "it counts layers of another head, which are left out",
    "tensor_data_layout": "llama.cpp does not use it",
    "xielu.alpha_n": "it is a tensor elsewhere: llama.cpp does not open our Apertus",
    "xielu.alpha_p": "as xielu.alpha_n",
    "xielu.beta": "as xielu.alpha_n",
    "xielu.eps": "as xielu.alpha_n",
    "target_layers": "it counts from another layer than the configuration does",
}
# Entries with another value, and why; a list of equal numbers and that number are the same.
DIFFERING = {
    "context_length": "the configuration says it, and the converter writes a constant",
    "feed_forward_length": "the shapes say it, and the converter writes 4 times the width",
    "rope.dimension_count": "the configuration says it, and the converter's default differs",
    "leading_dense_block_count": "mlp_layer_types says it, which the converter does not read",
    "block_count": "the converter counts the layer of another head",
    "attention.layer_norm_rms_epsilon": "the configuration has another name than it looks for",
    "attention.head_count": "as attention.head_count_kv",
    "attention.sliding_window_pattern": "as rope.freq_base",
    "rope.freq_base": "the pair was made with a changed configuration",
    "attention.head_count_kv": "the shapes say it; MiMo has one for each layer",
}


# Entries of ours that the converter's file of the same pair lacks, and why.
ADDED = {
    "vocab_size": "the converter writes it with a tokenizer, and the pairs have none",
    "tokenizer.ggml.token_type_count": "as vocab_size",
    "classifier.output_labels": "llama.cpp counts the classes by it; the pairs have no names",
    "expert_gating_func": "llama.cpp asks for it, and the pair's configuration has it not",
    "general.file_type": "the converter forgets it for GPT-NeoX",
    "attention.key_length": "the number that llama.cpp takes where nothing is said",
    "attention.value_length": "as attention.key_length",
    "attention.layer_norm_epsilon": "the configuration says it, and llama.cpp does not use it",
    "leading_dense_block_count": "as attention.key_length",
    "rope.freq_base": "as attention.key_length",
    "rope.freq_base_swa": "as attention.key_length",
    "feed_forward_length": "the configuration says it, and no layer is dense",
    "expert_weights_norm": "as attention.key_length",
    "ssm.dt_b_c_rms": "as attention.key_length",
}
# The pairs were converted with this name, and without the names of tokens.
GIVEN = {"general.name": "tiny"}


def told(metadata: Any) -> dict[str, Any]:
    """Return the entries of metadata, by their names without that of the architecture."""
    architecture = f"{metadata['general.architecture']}."
    known = {
        key.removeprefix(architecture): value
        for key, value in metadata.items()
        if key.startswith((architecture, "general."))
    }
    return {**known, **GIVEN}


def is_same(one: Any, other: Any) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return bool(one == other)
    lists = [list(each) if isinstance(each, Sequence) else [each] for each in (one, other)]
    first, second = np.broadcast_arrays(*(np.array(each, "f4") for each in lists))
    return bool(np.array_equal(first, second))


def converted() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield each pair that layouts are known for: ours, and the converter's."""
    for path in sorted(Path(PAIRS).glob(f"*/{GGUF}")):
        theirs, source = (
            sd.read_state_dict(path.with_name(n)) for n in (GGUF, "model.safetensors")
        )
        target, origin = sd.detect_layout(theirs).layout, sd.detect_layout(source).layout
        try:
            made = sd.plan_layout(source, target or "", from_layout=origin).state_dict
        except CatenError:
            continue
        more = Gguf().described(made, path.parent).metadata
        yield path.parent.name, told({**more, **made.metadata}), told(theirs.metadata)


def test_what_llama_cpps_converter_says_is_said_or_reasoned() -> None:
    pairs, equal = 0, 0
    for name, ours, theirs in converted():
        pairs += 1
        lacking = theirs.keys() - ours.keys()
        other = {key for key in theirs.keys() & ours.keys() if not is_same(ours[key], theirs[key])}
        assert lacking <= LACKING.keys(), (name, lacking)
        assert other <= DIFFERING.keys(), (name, {key: (ours[key], theirs[key]) for key in other})
        added = ours.keys() - theirs.keys()
        assert added <= ADDED.keys(), (name, added)
        equal += not lacking and not other and not added
    assert pairs >= 100, (pairs, equal)
    assert equal >= 70, equal
