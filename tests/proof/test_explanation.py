"""``explain``: the layout between two states of the same weights, told by values and proved."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from caten_sd import Explanation, explain, to_layout
from caten_sd.layout import (
    Chain,
    Concat,
    Layout,
    NegExp,
    Offset,
    Rotary,
    Scale,
    Stack,
    Transpose,
    packing,
)

CONFIG = {"n_head": 4, "n_kv_head": 2, "head_dim": 16, "n_expert": 5}
State = dict[str, Any]


def values(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def llama(layers: int = 3) -> tuple[State, State]:
    """Return a small mixture of experts under Hugging Face's names, and under those of GGUF."""
    a: State = {"model.embed_tokens.weight": values(50, 64)}
    b: State = {"token_embd.weight": a["model.embed_tokens.weight"]}
    for i in range(layers):
        here, there = f"model.layers.{i}.", f"blk.{i}."
        for n, (name, other, rows) in enumerate(
            (("q", "q", 64), ("k", "k", 32), ("v", "v", 32), ("o", "output", 64))
        ):
            w = a[f"{here}self_attn.{name}_proj.weight"] = values(rows, 64, seed=10 * i + n)
            order = Rotary(rows // 16, to="pairs").apply({(): w})[()].numpy()
            b[f"{there}attn_{other}.weight"] = order if name in "qk" else w
        experts = [values(3, 96, 64, seed=100 + 10 * i + e) for e in range(5)]
        for e, (gate, up, down) in enumerate(experts):
            a[f"{here}mlp.experts.{e}.gate_proj.weight"] = gate
            a[f"{here}mlp.experts.{e}.up_proj.weight"] = up
            a[f"{here}mlp.experts.{e}.down_proj.weight"] = down.T.copy()
        b[f"{there}ffn_gate_up_exps.weight"] = np.stack(
            [np.concatenate([gate, up]) for gate, up, _ in experts]
        )
        b[f"{there}ffn_down_exps.weight"] = np.stack([down.T for _, _, down in experts])
        a[f"{here}norm.weight"] = values(64, seed=i) / 8
        b[f"{there}norm.weight"] = a[f"{here}norm.weight"] + 1
    return a, b


def operations(found: Explanation) -> dict[Any, Any]:
    return {row.names[0]: row.operation for row in found.rows}


def test_every_tensor_is_explained_with_one_row_for_all_indices() -> None:
    found = explain(*llama(), config=CONFIG)
    assert found.is_whole
    assert len(found.rows) == 8
    told = operations(found)
    assert told["blk.{i}.attn_q.weight"] == Rotary("n_head", to="pairs")
    assert told["blk.{i}.attn_k.weight"] == Rotary("n_kv_head", to="pairs")
    assert told["blk.{i}.ffn_gate_up_exps.weight"] == Chain(Stack("e"), Concat((1, 1), 1))
    assert told["blk.{i}.ffn_down_exps.weight"] == Stack("e")
    assert told["blk.{i}.norm.weight"] == Offset(1.0)
    assert "n_expert" not in str(found.layout.to_toml() if found.layout else "")


def test_the_layout_converts_other_weights_of_the_same_architecture(tmp_path: Path) -> None:
    found = explain(*llama(), config=CONFIG, name="gguf-mine")
    assert found.layout is not None
    path = tmp_path / "mine.toml"
    path.write_text(found.layout.to_toml())
    layout = Layout.from_toml(path)
    a, b = llama(layers=2)
    made = to_layout(a, layout, from_layout=layout.canonical, config=CONFIG, strict=True)
    assert made.keys() == b.keys()
    options = {"from_layout": layout, "config": CONFIG}
    back = to_layout(made, layout.canonical, strict=True, **options)
    for key, leaf in a.items():
        assert np.allclose(back[key], leaf, rtol=0, atol=1e-6 * ("norm" in key))


def test_both_directions_give_the_inverse_operations() -> None:
    a, b = llama()
    forth, back = explain(a, b, config=CONFIG), explain(b, a, config=CONFIG)
    assert back.is_whole
    undone = {row.canonical_names[0]: row.operation.inverse() for row in back.rows}
    assert undone == operations(forth)


@pytest.mark.parametrize(
    ("operation", "shape"),
    [
        (Offset(1.0), (64,)),
        (Offset(-1.0), (8, 4)),
        (NegExp(), (16, 6)),
        (NegExp(undo=True), (16,)),
        (Scale(12.0), (7, 5)),
        (Scale(12.0, undo=True), (70,)),
        (Scale(-0.5), (70,)),
        (Chain(NegExp(), Transpose()), (16, 6)),
    ],
    ids=repr,
)
def test_a_formula_is_told_by_the_sorted_values(operation: Any, shape: tuple[int, ...]) -> None:
    before = values(*shape) * 0.5
    before = -np.abs(before) - 0.01 if operation == NegExp(undo=True) else before
    after = operation.apply({(): before})[()].numpy()
    a = {"x.0.w": before, "x.1.w": values(3, 3)}
    found = explain(a, {"y.0.v": after, "y.1.v": a["x.1.w"]})
    assert found.is_whole
    assert operations(found) == {"y.0.v": operation, "y.1.v": operations(found)["y.1.v"]}


def test_rows_of_other_operations_have_conditions() -> None:
    a = {f"h.{i}.w": values(6, 4, seed=i) for i in range(6)}
    b = {f"l.{i}.w": w.T if i % 2 else w for i, w in enumerate(a.values())}
    found = explain(a, b)
    assert found.is_whole
    assert sorted(row.where for row in found.rows) == ["i % 2 == 0", "i % 2 == 1"]


def test_shifted_and_mixed_indices() -> None:
    a = {f"h.{i}.w": values(6, 4, seed=i) for i in range(4)}
    b = {f"conv{i + 1}.w": w for i, w in enumerate(a.values())}
    assert [row.names for row in explain(a, b).rows] == [("conv{i+1}.w",)]
    mixed = {f"l.{n}.w": a[f"h.{i}.w"] for i, n in enumerate((2, 0, 3, 1))}
    found = explain(a, mixed)
    assert found.is_whole
    assert len(found.rows) == 4


def test_packings_take_the_names_of_counts_of_heads() -> None:
    parts = [values(64, 8), values(32, 8, seed=1), values(32, 8, seed=2)]
    joined = Chain(Concat((2, 1, 1)), packing("per_kv_group", heads=4, kv_heads=2))
    (made,) = joined.apply({(("(position)", n),): part for n, part in enumerate(parts)}).values()
    a = dict(zip(("0.q.w", "0.k.w", "0.v.w"), parts, strict=True))
    found = explain(a, {"0.qkv.w": made.numpy()}, config=CONFIG)
    shares = ("n_head", "n_kv_head", "n_kv_head")
    assert operations(found) == {"0.qkv.w": Chain(Concat(shares), packing("per_kv_group"))}
    assert found.rows[0].canonical == ("0.q.w", "0.k.w", "0.v.w")


def test_equal_tensors_are_paired_by_names_only_where_there_is_one_way() -> None:
    ones, zeros = np.ones(8, np.float32), np.zeros(8, np.float32)
    a = {"q.weight": values(8, 8), "q.bias": zeros, "k.weight": values(8, 8, seed=1)}
    a |= {"k.bias": zeros, "first.weight": ones, "second.weight": ones, "same": ones}
    b = {"Q.kernel": a["q.weight"].T, "Q.bias": zeros, "K.kernel": a["k.weight"].T}
    b |= {"K.bias": zeros, "one.scale": ones, "two.scale": ones, "same": ones}
    found = explain(a, b)
    pairs = {row.canonical: row.names[0] for row in found.rows}
    assert pairs == {
        "q.weight": "Q.kernel",
        "k.weight": "K.kernel",
        "q.bias": "Q.bias",
        "k.bias": "K.bias",
        "same": "same",
    }
    assert found.evidence["q.bias <-> Q.bias"] == "the name, as the others of its module"
    left = {(each.side, each.key) for each in found.undecided}
    assert left == {
        ("A", "first.weight"),
        ("A", "second.weight"),
        ("B", "one.scale"),
        ("B", "two.scale"),
    }
    assert {each.reason for each in found.undecided} == {"one value throughout"}
    assert not found.is_whole


def test_a_tied_tensor_is_a_further_name() -> None:
    w = values(9, 4)
    found = explain({"embed": w, "head": w.copy(), "x": values(3)}, {"wte": w, "y": values(3)})
    assert found.is_whole
    assert found.repeated == {"head": "embed"}
    assert found.layout is not None
    back = to_layout({"wte": w, "y": values(3)}, found.layout.canonical, from_layout=found.layout)
    assert set(back) == {"embed", "head", "x"}


def test_what_is_only_on_one_side_is_said() -> None:
    a = {"w": values(4, 4), "inv_freq": values(8)}
    found = explain(a, {"v": a["w"], "rope": values(3)})
    assert [(each.side, each.key, each.reason) for each in found.undecided] == [
        ("A", "inv_freq", ""),
        ("B", "rope", ""),
    ]
    assert found.to_dict()["groups"]["only in B"] == [{"key": "rope", "detail": ""}]


def test_an_order_without_a_name_is_undecided() -> None:
    w = values(16, 8)
    found = explain({"w": w}, {"v": np.random.default_rng(1).permutation(w)})
    assert found.layout is None
    assert found.undecided[0].reason == "the values of v in an order that no operation gives"


def test_files_with_a_configuration_next_to_them(tmp_path: Path) -> None:
    a, b = llama(layers=2)
    (tmp_path / "config.json").write_text(
        '{"model_type": "llama", "num_attention_heads": 4, "num_key_value_heads": 2}'
    )
    save_file(a, tmp_path / "model.safetensors")
    save_file(b, tmp_path / "other.safetensors")
    found = explain(tmp_path / "model.safetensors", tmp_path / "other.safetensors")
    assert operations(found)["blk.{i}.attn_q.weight"] == Rotary("num_attention_heads", to="pairs")


def test_equal_tensors_on_both_sides_are_left_open() -> None:
    w = values(8, 4)
    found = explain({k: w.copy() for k in "abc"}, {k: w.copy() for k in "xyz"})
    assert found.layout is None
    assert {each.reason for each in found.undecided} == {"values that others have too"}


def test_tensors_of_two_dtypes_are_not_joined() -> None:
    q, k = values(4, 4), values(4, 4, seed=1).astype(np.float16)
    found = explain({"q": q, "k": k}, {"qk": np.concatenate([q, k.astype(np.float32)])})
    assert found.layout is None
    assert len(found.undecided) == 3


def test_tensors_that_no_row_can_explain_have_a_reason() -> None:
    w = values(4, 4)
    sparse = torch.eye(4).to_sparse()
    found = explain({"a b": w, "s": sparse, "w": w[:2], "e": w[:0]}, {"v": w[:2], "e": w[:0]})
    assert [row.canonical for row in found.rows] == ["w", "e"]
    reasons = {each.key: each.reason for each in found.undecided}
    assert "no row can have" in reasons["a b"]
    assert "sparse" in reasons["s"]


@pytest.mark.parametrize("words", [np.array(["a", "b"]), np.array([1, "b"], object)])
def test_values_that_are_not_numbers_have_a_reason(words: Any) -> None:
    w = values(4, 4)
    found = explain({"w": w, "words": words}, {"v": w, "words": words})
    assert [row.canonical for row in found.rows] == ["w"]
    assert {each.key for each in found.undecided} == {"words"}
    assert all(words.dtype.str in each.reason for each in found.undecided)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_masks_of_infinities_that_differ_are_left_alone(odd: float) -> None:
    w = values(4, 4)
    mask = np.where(w > 0, np.float32(odd), 0)
    found = explain({"w": w, "m": mask}, {"w": w, "m": mask + 1})
    assert [row.canonical for row in found.rows] == ["w"]


def test_names_with_more_numbers_than_letters_for_them() -> None:
    random = np.random.default_rng(0)
    names = [".".join(f"l.{n}" for n in random.integers(0, 9, 11)) for _ in range(40)]
    a = {f"{name}.w": values(3, 5, seed=n) for n, name in enumerate(names)}
    assert explain(a, {key.replace("l.", "m."): w for key, w in a.items()}).is_whole


@pytest.mark.parametrize("dtype", ["int64", "bool", "float64", "float16", ">f4", "complex64"])
def test_every_dtype_is_compared_by_its_bits(dtype: str) -> None:
    w = np.arange(35).reshape(7, 5).astype(dtype)
    w[::2] = w[::2] == 0
    w[3, 1] = 1
    assert explain({"w": w}, {"v": w.T, "x": w[:0]}).rows[0].operation == Transpose()


def test_nan_and_infinities_are_values() -> None:
    w = values(8, 4)
    w[0, 1], w[2, 2] = np.nan, np.inf
    assert explain({"w": w}, {"v": w.T}).is_whole
