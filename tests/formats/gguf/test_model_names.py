"""The parts of a model's name are those that gguf-py finds."""

from __future__ import annotations

import pytest
from gguf.metadata import Metadata
from gguf.utility import size_label as their_label
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.formats.gguf.model_names import model_name, size_label, title

PARTS = [
    "Llama", "qwen2.5", "3", "v0.2", "iter3", "7B", "8x7b", "7b1", "1_5M", "32k", "A3B", "small",
    "XL", "chat", "Instruct", "lora", "vision", "q4_k_m", "bf16", "GGUF", "", "é", "0", "b", "1T",
    "2407", ".5", "FP8", "xl", "mini", "8K", "3.8b",
]  # fmt: skip
NAMES = st.lists(st.sampled_from(PARTS), min_size=1, max_size=7).map("-".join)
IDENTIFIERS = st.one_of(
    NAMES, st.tuples(st.sampled_from(["meta", ".", "..x", "a b", "org-1"]), NAMES).map("/".join)
)


@given(IDENTIFIERS, st.sampled_from([0, 900, 124_000_000, 7_000_000_000, 5 * 10**12]))
def test_they_are_those_of_gguf_py(name: str, parameters: int) -> None:
    full, organization, basename, finetune, version, size = Metadata.get_model_id_components(
        name, parameters
    )
    found = model_name(name, parameters)
    assert found == (full, organization, basename, finetune, version, size)
    assert title(found.name or "") == Metadata.id_to_title(full or "")


@given(st.integers(0, 1 << 45), st.integers(0, 300))
def test_a_size_is_that_of_gguf_py(parameters: int, experts: int) -> None:
    assert size_label(parameters, experts) == their_label(parameters, parameters, 0, experts)


@pytest.mark.parametrize("name", ["7-" * 200_000, "x" * 300 + "-7b"])
def test_a_huge_name_is_a_name_only(name: str) -> None:
    assert model_name(name, 0) == (name, None, None, None, None, None)
