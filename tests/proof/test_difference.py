"""What a diff of two files says: each kind of pair has its text, which is committed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from caten_sd import Diff, StateDict, diff, to_layout
from caten_sd.proof.likeness import Likeness

DATA = Path(__file__).parents[1] / "data" / "diff"
WIDTH, HEADS, KV_HEADS, INNER, WORDS = 64, 4, 2, 96, 100
CONFIG = {
    "model_type": "llama",
    "hidden_size": WIDTH,
    "num_hidden_layers": 4,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "intermediate_size": INNER,
    "vocab_size": WORDS,
    "head_dim": WIDTH // HEADS,
}

Weights = dict[str, Any]


def llama(seed: int = 0) -> Weights:
    """Return the weights of a small Llama under Hugging Face's names."""
    random = np.random.default_rng(seed)

    def made(*shape: int) -> Any:
        return random.standard_normal(shape, dtype="f4") / 8

    found = {"model.embed_tokens.weight": made(WORDS, WIDTH)}
    for i in range(4):
        name = f"model.layers.{i}."
        for part, rows in (("q", WIDTH), ("k", WIDTH // 2), ("v", WIDTH // 2), ("o", WIDTH)):
            found[f"{name}self_attn.{part}_proj.weight"] = made(rows, WIDTH)
        found[f"{name}mlp.gate_proj.weight"] = made(INNER, WIDTH)
        found[f"{name}mlp.up_proj.weight"] = made(INNER, WIDTH)
        found[f"{name}mlp.down_proj.weight"] = made(WIDTH, INNER)
        found[f"{name}input_layernorm.weight"] = 1 + made(WIDTH)
        found[f"{name}post_attention_layernorm.weight"] = 1 + made(WIDTH)
    return {**found, "model.norm.weight": 1 + made(WIDTH), "lm_head.weight": made(WORDS, WIDTH)}


def base(folder: Path, weights: Weights | None = None) -> Path:
    """Write a folder as Hugging Face has it."""
    folder.mkdir()
    save_file(weights or llama(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


def trained(weights: Weights) -> Weights:
    """Return weights after some training of all but the norms."""
    random = np.random.default_rng(9)
    step = {key: random.standard_normal(each.shape, dtype="f4") for key, each in weights.items()}
    return {k: each + 4e-4 * step[k] * (each.ndim > 1) for k, each in weights.items()}


def fine_tune(folder: Path) -> Any:
    return base(folder / "tuned", trained(llama()))


def merged_lora(folder: Path) -> Any:
    random = np.random.default_rng(9)
    weights = llama()
    for key, each in weights.items():
        if ".q_proj." in key or ".v_proj." in key:
            up = random.standard_normal((each.shape[0], 8), dtype="f4")
            down = random.standard_normal((8, each.shape[1]), dtype="f4")
            weights[key] = each + 1e-3 * up @ down
    return base(folder / "merged", weights)


def quantized(folder: Path) -> Any:
    """Write a GGUF with the library of llama.cpp, its matrices in Q8_0."""
    path = folder / "q8_0.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    state = to_layout(llama(), "gguf-llama", from_layout="hf-llama", config=CONFIG)
    for key, leaf in state.items():
        array, kind = np.ascontiguousarray(leaf), gguf.GGMLQuantizationType.Q8_0
        if array.ndim == 2:
            writer.add_tensor(key, gguf.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(key, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def saved_again(folder: Path) -> Any:
    path = folder / "pytorch_model.bin"
    torch.save({key: torch.from_numpy(each) for key, each in llama().items()}, path)
    return path


def truncated(folder: Path) -> Any:
    kept = {k: v for k, v in llama().items() if ".layers.2." not in k and ".layers.3." not in k}
    return base(folder / "short", kept)


def second_seed(folder: Path) -> Any:
    return base(folder / "other", llama(1))


def rounded(folder: Path) -> Any:
    half = {key: each.astype(ml_dtypes.bfloat16) for key, each in llama().items()}
    return base(folder / "half", half)


def without_a_layer(folder: Path) -> Any:
    """Write a model whose first layer was cut out, and whose next ones moved down."""
    kept = {}
    for key, each in llama().items():
        parts = key.split(".")
        if parts[1] == "layers":
            parts[2] = str(int(parts[2]) - 1)
        if "-1" not in parts:
            kept[".".join(parts)] = each
    return base(folder / "cut", kept)


def mixed(folder: Path) -> Any:
    """Write one of each: a transpose, a longer vocabulary, NaN, a joined and a renamed tensor."""
    weights = llama()
    layers = [f"model.layers.{i}." for i in range(4)]
    name = f"{layers[0]}self_attn.q_proj.weight"
    weights[name] = weights[name].T.copy()
    for key in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[key] = np.concatenate([weights[key], np.zeros((28, WIDTH), "f4")])
    weights[f"{layers[1]}mlp.up_proj.weight"][0, :2] = np.nan, np.inf
    gate, up = (weights.pop(f"{layers[2]}mlp.{part}_proj.weight") for part in ("gate", "up"))
    weights[f"{layers[2]}mlp.gate_up_proj.weight"] = np.concatenate([gate, up])
    weights["model.final.weight"] = weights.pop("model.norm.weight")
    weights["extra.weight"] = np.arange(6, dtype="f4")
    return base(folder / "mixed", weights)


PAIRS = [
    fine_tune,
    merged_lora,
    quantized,
    saved_again,
    truncated,
    second_seed,
    rounded,
    without_a_layer,
    mixed,
]


@pytest.mark.parametrize("make", PAIRS)
def test_the_text_of_each_pair(make: Callable[[Path], Any], tmp_path: Path) -> None:
    found = diff(base(tmp_path / "base"), make(tmp_path))
    assert f"{found}\n" == (DATA / f"{make.__name__}.txt").read_text()


def kinds(found: Diff) -> dict[str, int]:
    """Return how many rows there are of each kind."""
    counts: dict[str, int] = found.to_dict()["counts"]
    return {kind: count for kind, count in counts.items() if count}


def test_live_models_and_state_dicts_are_compared() -> None:
    torch.manual_seed(0)
    one, other = torch.nn.Linear(8, 4), torch.nn.Linear(8, 4)
    assert kinds(diff(one, other)) == {"changed": 2}
    other.load_state_dict(one.state_dict())
    assert diff(one, other).is_same
    assert diff(one, {key: each.numpy() for key, each in one.state_dict().items()}).is_same


def test_a_quick_diff_tells_the_same_but_two_figures(tmp_path: Path) -> None:
    here = base(tmp_path / "base")
    for make in (fine_tune, without_a_layer, mixed, rounded):
        there = make(tmp_path)
        whole, quick = diff(here, there), diff(here, there, quick=True)
        assert quick.verdict == whole.verdict
        assert [row.key for row in quick.rows] == [row.key for row in whole.rows]
        for one, other in zip(quick.rows, whole.rows, strict=True):
            if one.change and other.change and one.a == one.b:
                assert one.change == other.change._replace(changed=None, mean=None)
                assert "mean" not in one.text()


def test_a_pair_is_in_the_json_with_its_own_names(tmp_path: Path) -> None:
    found = diff(base(tmp_path / "base"), quantized(tmp_path)).to_dict()
    rows = {row["key"]: row for group in found["groups"].values() for row in group}
    row = rows["layers.0.self_attn.q_proj.weight"]
    assert (row["a"], row["b"]) == (
        ["model.layers.0.self_attn.q_proj.weight"],
        ["blk.0.attn_q.weight"],
    )
    assert (row["elements"], row["nan_b"]) == (WIDTH * WIDTH, 0)


def test_the_lines_for_diff_are_sorted_and_complete() -> None:
    a = llama()
    lines = diff(a, trained(a)).diffable().split("\n")
    assert [line.split(": ")[0] for line in lines] == sorted(a)
    assert "changed: relative rms" in lines[0]


def test_nothing_shared_is_one_line() -> None:
    found = diff({"x": np.arange(5.0)}, {"y": np.arange(7)})
    assert found.verdict == "no tensor is in both: 1 only in A, 1 only in B"
    assert not found.is_same


def test_integers_and_other_values_are_compared() -> None:
    a = {"position": np.arange(2**40, 2**40 + 3), "mask": np.array([True, False]), "extra": "x"}
    b = {"position": a["position"] + 1, "mask": ~a["mask"], "extra": "y"}
    found = {row.key: row for row in diff(a, b).rows}
    change = found["position"].change
    assert change is not None
    assert (change.largest, change.changed) == (1.0, 3)
    assert {row.likeness for row in found.values()} == {Likeness.CHANGED}


def test_a_training_state_is_compared_by_its_model() -> None:
    weights = {"w": np.arange(4.0), "b": np.zeros(2)}
    saved = {f"model.{key}": each for key, each in weights.items()} | {"step": 3}
    assert diff(StateDict(saved), weights).is_same


def test_a_worst_tensor_is_named_among_many() -> None:
    a = {f"h.{i}.w": np.full(100, 1.0 + i, "f4") for i in range(8)}
    b = {key: each * 1.001 for key, each in a.items()}
    b["h.5.w"] = a["h.5.w"] * 2
    assert "1 in h.5.w, most at 0.001" in str(diff(a, b))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_a_lora_that_peft_merged_shows_in_its_projections_alone(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="peft merges the LoRA")
    transformers = pytest.importorskip("transformers", reason="transformers has the model")
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**CONFIG))
    model.save_pretrained(tmp_path / "base")
    wrapped = peft.get_peft_model(model, peft.LoraConfig(target_modules=["q_proj", "v_proj"], r=4))
    for name, each in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(each, std=0.01)
    merged = wrapped.merge_and_unload()
    merged.save_pretrained(tmp_path / "merged", safe_serialization=False)
    for a in (tmp_path / "base", transformers.AutoModel.from_pretrained(tmp_path / "base")):
        found = diff(a, tmp_path / "merged")
        changed = {row.key.split(".")[-2] for row in found.of(Likeness.CHANGED)}
        assert changed == {"q_proj", "v_proj"}
        assert kinds(found).keys() - {"only_b"} == {"changed", "bytes"}
        assert kinds(found)["changed"] == 8
