"""What a file says of itself, held against classes of transformers and files of gguf."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd import read_state_dict, write_state_dict
from caten_sd.errors import LayoutError
from caten_sd.layout import Layout, Rotary, Row
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.mapping.self_description import names, said, stated_numbers, veto
from caten_sd.state.state_dict import StateDict

HF = Layout("our-llama", [Row("q.{i}", shape=("n", "n")), Row("k.{i}")], counts={"i": "n_layer"})
GGUF = Layout(
    "ours-llama",
    [
        Row("q.{i}", "blk.{i}.q", Rotary("num_attention_heads", to="pairs")),
        Row("k.{i}", "blk.{i}.k", Rotary("num_key_value_heads", to="pairs")),
    ],
    base=HF,
    metadata={"general.architecture": "llama"},
)
HEADS = {"llama.attention.head_count": 3, "llama.attention.head_count_kv": 1}


def gguf(**metadata: Any) -> StateDict:
    entry = {
        f"blk.{i}.{name}": np.arange(rows * 12, dtype="f4").reshape(rows, 12) + i
        for i in range(2)
        for name, rows in (("q", 12), ("k", 4))
    }
    return StateDict(entry, metadata={"general.architecture": "llama", **HEADS, **metadata})


def config(**entries: Any) -> StateDict:
    return StateDict({"w": np.zeros(1)}, config=entries)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (StateDict({}, metadata={"general.architecture": "qwen2"}), "qwen2"),
        (
            StateDict(
                {},
                metadata={
                    "general.architecture": "llama",
                    "general.type": "adapter",
                    "adapter.type": "lora",
                },
            ),
            "lora",
        ),
        (config(model_type="gpt2", architectures=["X"]), "gpt2"),
        (config(architectures=["GPTNeoXForCausalLM"]), "GPTNeoXForCausalLM"),
        (config(peft_type="LORA", base_model_name_or_path="gpt2"), "LORA"),
    ],
)
def test_the_architecture_that_a_file_names(state: StateDict, expected: str) -> None:
    ((where, name),) = said(state).items()
    assert name == expected
    assert where.startswith(("its ", "the "))
    named = Layout("x", [Row("w")], architecture=expected)
    assert veto(named, state) == ""
    assert repr(expected) in veto(Layout("hf-t5", [Row("w")]), state)


@pytest.mark.parametrize(
    "entries",
    [{}, {"model_type": 3}, {"architectures": []}, {"architectures": [None]}, {"model_type": ""}],
)
def test_a_configuration_that_names_nothing_excludes_nothing(entries: dict[str, Any]) -> None:
    assert said(config(**entries)) == {}
    assert veto(HF, config(**entries)) == ""


def test_a_hostile_name_is_short_and_escaped() -> None:
    why = veto(HF, config(model_type="\x1b[31m" + "For" * 1_000_000))
    assert why.isprintable()
    assert len(why) < 200


def test_the_classes_of_transformers_are_told_by_their_names() -> None:
    auto = pytest.importorskip("transformers.models.auto.modeling_auto")
    classes = dict(auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    layouts = {kind: Layout(f"x-{kind}", [Row("w")], architecture=kind) for kind in classes}
    right = [kind for kind, name in classes.items() if names(layouts[kind], name)]
    assert len(right) > 0.8 * len(classes)
    assert {"gpt2", "llama", "gpt_neox", "qwen2_moe", "xlm-roberta", "deepseek_v3"} <= set(right)
    foreign = [
        (n, o) for k, n in classes.items() for o in classes if names(layouts[o], n) and o != k
    ]
    assert [pair for pair in foreign if pair[1].split("_")[0] not in pair[0].casefold()] == []


def test_the_configuration_of_a_part_counts_for_the_layout_of_the_part() -> None:
    text = {"model_type": "llama", "num_attention_heads": 3, "num_key_value_heads": 1}
    whole = {"model_type": "llava", "vision_config": {"model_type": "clip"}, "text_config": text}
    state = gguf()
    part = StateDict(dict(to_layout(state, HF, from_layout=GGUF)), config=whole)
    assert veto(HF, part) == ""
    assert "llava" in veto(Layout("hf-gemma", [Row("w")]), part)
    back = to_layout(part, GGUF, from_layout=HF)
    assert all((np.asarray(back[key]) == leaf).all() for key, leaf in state.items())


def test_head_counts_come_from_the_metadata_of_a_gguf_file(tmp_path: Path) -> None:
    """Wrong head counts load without a word, so only the file can know them."""
    write_state_dict(gguf(), tmp_path / "w.gguf")
    for path in (tmp_path / "w.gguf", tmp_path / "w.safetensors"):
        with read_state_dict(path) as state:
            ours = to_layout(state, HF, from_layout=GGUF)
            expected = to_layout(
                StateDict(dict(gguf())),
                HF,
                from_layout=GGUF,
                num_attention_heads=3,
                num_key_value_heads=1,
            )
            for key, leaf in expected.items():
                assert (np.asarray(ours[key]) == np.asarray(leaf)).all()
            if path.suffix == ".gguf":
                write_state_dict(state, tmp_path / "w.safetensors")  # its numbers become texts


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"llama.attention.head_count": 9}, {"num_attention_heads": 9, "n_kv_head": 9}),
        ({"llama.attention.head_count_kv": [4, 4, 4]}, {"num_key_value_heads": 4}),
        ({"llama.block_count": "2"}, {"n_layer": 2}),
        ({"gpt2.block_count": 2}, {}),
        ({"llama.expert_count": 8}, {"num_local_experts": 8}),
    ],
)
def test_numbers_of_metadata(metadata: dict[str, Any], expected: dict[str, int]) -> None:
    found = stated_numbers({"general.architecture": "llama", **metadata})
    assert expected.items() <= found.items()
    assert bool(found) == bool(expected)


def test_heads_that_differ_by_layer_are_not_one_number() -> None:
    state = gguf(**{"llama.attention.head_count_kv": [1, 2]})
    with pytest.raises(LayoutError, match=r"num_key_value_heads is \[1, 2\]; pass a whole number"):
        to_layout(state, HF, from_layout=GGUF)


def test_what_the_file_says_counts_less_than_what_the_caller_gives() -> None:
    with pytest.raises(LayoutError, match="5 heads"):
        to_layout(gguf(), HF, from_layout=GGUF, num_attention_heads=5)


def test_sizes_of_a_layout_name_its_own_keys() -> None:
    own = Layout("mine", [Row("w")], sizes={"mine.heads": "n_head"})
    assert stated_numbers({"mine.heads": 7}, own) == {"n_head": 7}


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("positions", {"positions": 12}),
        ("positions + 2", {}),
        ("n_positions or 2048", {"n_positions": 12, "max_position_embeddings": 12}),
        ("n_ctx", {"n_ctx": 12, "max_position_embeddings": 12}),
    ],
)
def test_an_entry_that_a_layout_calls_otherwise_has_its_usual_names_no_longer(
    size: str, expected: dict[str, int]
) -> None:
    layout = Layout("mine", [Row("w")], sizes={"mine.context_length": size})
    said = {"general.architecture": "mine", "mine.context_length": 12}
    found = stated_numbers(said, layout)
    assert expected.items() <= found.items()
    assert ("max_position_embeddings" in found) == ("max_position_embeddings" in expected)


def test_the_evidence_is_where_the_file_says_it() -> None:
    found = detect_layout(gguf(), layouts=[GGUF, HF])
    assert found.layout is GGUF
    assert "its general.architecture is 'llama'" in found.evidence
    silent = detect_layout(dict(gguf()), layouts=[GGUF, HF])
    assert silent.layout is GGUF
    assert any("names and shapes only" in line for line in silent.evidence)


def test_the_metadata_of_a_file_decide_before_a_config_next_to_it() -> None:
    state = gguf()
    beside = StateDict(state.entry, metadata=state.metadata, config={"model_type": "mistral"})
    assert veto(GGUF, beside) == ""
    assert "mistral" in veto(HF, StateDict({}, config=beside.config))


def test_one_more_layout_need_not_be_in_a_list() -> None:
    assert detect_layout(gguf(), layouts=GGUF).layout is GGUF
