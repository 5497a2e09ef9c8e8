from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model

from caten_sd.errors import LayoutError
from caten_sd.layouts.gpt2 import (
    CATEN,
    FLAX,
    GGUF,
    HF,
    NANOGPT,
    NANOGPT_BIASLESS,
    NANOGPT_PADDED,
    TF,
)
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.layout_plan import plan_layout, to_layout
from caten_sd.state.leaf import Numpy, Torch, as_array
from caten_sd.state.state_dict import STAMP, StateDict

CONV1D = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
LAYOUTS = [CATEN, HF, GGUF, FLAX, TF]


def config(**changes: Any) -> GPT2Config:
    sizes = {"n_embd": 4, "n_head": 2, "n_layer": 2, "vocab_size": 11, "n_positions": 7}
    return GPT2Config(**{**sizes, "bos_token_id": 0, "eos_token_id": 0, **changes})


@pytest.fixture
def model() -> Any:
    """A tiny GPT-2 whose every parameter is random, norms and biases too."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    return model


def tensors(state: StateDict) -> dict[str, torch.Tensor]:
    """Return the state as if it had been written and read: torch tensors of their own."""
    return {key: as_array(Torch(), leaf).clone().contiguous() for key, leaf in state.items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[key], other[key]) for key in one)


def test_case_9_every_conv1d_is_transposed_and_nothing_else(model: GPT2LMHeadModel) -> None:
    given = model.state_dict()
    found = tensors(to_layout(given, "caten-gpt2"))
    for key, leaf in given.items():
        name = key.removeprefix("transformer.")
        if name.startswith(("h.", "ln_f")) and ".ln_" in f".{name}":
            name = name.replace(".weight", ".affine")
        turned = name.endswith(".weight") and any(part in name for part in CONV1D)
        assert torch.equal(found[name], leaf.T if turned else leaf), name
    assert len(found) == len(given)
    for i in range(2):
        square = given[f"transformer.h.{i}.attn.c_proj.weight"]
        assert square.shape == (4, 4)
        assert not torch.equal(found[f"h.{i}.attn.c_proj.weight"], square)


def test_case_9_the_inverse_is_bit_exact(model: GPT2LMHeadModel) -> None:
    given = model.state_dict()
    caten = to_layout(given, "caten-gpt2")
    stored = StateDict(tensors(caten), ties=caten.ties, metadata=caten.metadata)
    back = tensors(to_layout(stored, "hf-gpt2"))
    assert same(back, {key: leaf for key, leaf in given.items() if key != "lm_head.weight"})


def test_what_a_square_shape_cannot_confirm_is_reported(model: GPT2LMHeadModel) -> None:
    plan = plan_layout(model.state_dict(), "caten-gpt2")
    assert plan.findings.square == [f"h.{i}.attn.c_proj.weight" for i in range(2)]


@pytest.mark.parametrize(("source", "target"), list(permutations(LAYOUTS, 2)))
def test_any_layout_to_any_and_back(model: GPT2LMHeadModel, source: Any, target: Any) -> None:
    given = to_layout(model.state_dict(), source, from_layout=HF)
    if source is HF:
        given = to_layout(to_layout(given, CATEN), HF)
    there = to_layout(given, target)
    assert there.metadata[STAMP] == target.name
    stored = StateDict(tensors(there), ties=there.ties, metadata=there.metadata)
    back = to_layout(stored, source)
    assert same(tensors(back), tensors(given))
    detected = detect_layout(dict(tensors(there)))
    assert detected.layout is target


def test_hugging_face_files_in_all_their_forms(model: GPT2LMHeadModel, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    file = load_file(tmp_path / "model.safetensors")
    assert "lm_head.weight" not in file
    masks = {f"transformer.h.{i}.attn.bias": torch.ones(1, 1, 7, 7) for i in range(2)}
    fills = {f"transformer.h.{i}.attn.masked_bias": torch.tensor(-1e4) for i in range(2)}
    old = {**masks, **fills, **file}
    bare = {key.removeprefix("transformer."): leaf for key, leaf in old.items()}
    with_head = {**old, "lm_head.weight": old["transformer.wte.weight"]}
    meant = tensors(to_layout(model.state_dict(), CATEN))
    for form in (file, old, bare, with_head):
        plan = plan_layout(form, CATEN)
        found = tensors(plan.state_dict)
        assert found.keys() == meant.keys()
        assert all(torch.equal(found[key], meant[key]) for key in meant)
        assert plan.state_dict.ties == {"lm_head.weight": "wte.weight"}
        assert len(plan.findings.dropped) == (0 if form is file else 4)
        assert plan.findings.complaint == ""


def test_case_10_the_old_masks_are_dropped_with_a_reason(model: GPT2LMHeadModel) -> None:
    given = model.state_dict()
    mask = {"transformer.h.0.attn.bias": torch.ones(1, 1, 7, 7)}
    real = {"transformer.h.0.attn.masked_bias": torch.ones(3)}
    with pytest.raises(LayoutError, match=r"h\.0\.attn\.masked_bias.* --from hf-gpt2"):
        plan_layout({**given, **mask, **real}, CATEN)
    plan = plan_layout({**given, **mask, **real}, CATEN, from_layout=HF)
    assert plan.findings.dropped == {
        "transformer.h.0.attn.bias": "the causal mask, which is computed"
    }
    assert plan.findings.untaken == ["transformer.h.0.attn.masked_bias"]
    assert (
        plan.state_dict["transformer.h.0.attn.masked_bias"]
        is real["transformer.h.0.attn.masked_bias"]
    )


def test_case_10_a_real_bias_of_another_model_survives() -> None:
    bias = np.ones(4)
    with pytest.raises(LayoutError, match="no layout was recognized"):
        to_layout({"blocks.0.attn.bias": bias}, CATEN)
    kept = to_layout({"blocks.0.attn.bias": bias}, CATEN, from_layout=HF, silent=True)
    assert kept["blocks.0.attn.bias"] is bias


def test_one_tensor_under_two_prefixes_is_an_error_naming_both(model: GPT2LMHeadModel) -> None:
    given = {**model.state_dict(), "wte.weight": torch.zeros(11, 4)}
    with pytest.raises(
        LayoutError, match=r"transformer\.wte\.weight and wte\.weight .* remove or rename"
    ):
        to_layout(given, CATEN, from_layout=HF)


def reload(model: GPT2LMHeadModel, state: StateDict, folder: Path) -> tuple[Any, dict[str, Any]]:
    """Write the state next to the model's configuration and load it with transformers."""
    from safetensors.torch import save_file

    model.config.save_pretrained(folder)
    save_file(tensors(state), folder / "model.safetensors", metadata={"format": "pt"})
    loaded: Any = GPT2LMHeadModel.from_pretrained(folder, output_loading_info=True)
    return loaded  # type: ignore[no-any-return]


def test_what_is_written_loads_with_nothing_missing(model: GPT2LMHeadModel, tmp_path: Path) -> None:
    for source in (CATEN, GGUF):
        state = to_layout(to_layout(model.state_dict(), source), HF)
        assert "lm_head.weight" not in state
        loaded, info = reload(model, state, tmp_path)
        assert not any(info.values()), info
        assert same(loaded.state_dict(), model.state_dict())


def test_an_untied_head_is_written_and_reported(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config(tie_word_embeddings=False))
    plan = plan_layout(model.state_dict(), CATEN)
    assert plan.state_dict.ties == {}
    plan = plan_layout(plan.state_dict, HF)
    (hint,) = plan.findings.hints
    for fact in ("lm_head.weight", "wte.weight", "set tie_word_embeddings=False"):
        assert fact in hint
    assert plan.state_dict.metadata["caten_sd.tie_word_embeddings"] == "false"
    loaded, info = reload(model, plan.state_dict, tmp_path)
    assert not any(info.values()), info
    assert same(loaded.state_dict(), model.state_dict())
    again = to_layout(plan.state_dict, CATEN)
    assert "caten_sd.tie_word_embeddings" not in again.metadata


def test_a_configuration_that_unties_is_believed(model: GPT2LMHeadModel) -> None:
    given = {key: leaf for key, leaf in model.state_dict().items() if key != "lm_head.weight"}
    plan = plan_layout(given, CATEN, config={"tie_word_embeddings": False})
    assert "lm_head.weight" not in plan.state_dict
    assert [row.names for row in plan.findings.idle] == [("lm_head.weight",)]
    tied = to_layout(given, CATEN, config=model.config)
    assert tied["lm_head.weight"] is tied["wte.weight"]


def test_a_model_without_a_head_gets_a_tied_one() -> None:
    given = GPT2Model(config()).state_dict()
    assert "wte.weight" in given
    state = to_layout(given, CATEN)
    assert state.ties == {"lm_head.weight": "wte.weight"}


def test_the_names_of_gguf_are_caten_s(model: GPT2LMHeadModel) -> None:
    """After Caten's own list of text replacements, applied in its order."""
    replacements = [
        ("blk.", "h."),
        ("token_embd.weight", "wte.weight"),
        ("position_embd.weight", "wpe.weight"),
        (".attn_norm.weight", ".ln_1.affine"),
        (".attn_norm.bias", ".ln_1.bias"),
        (".attn_qkv.", ".attn.c_attn."),
        (".ffn_down.", ".mlp.c_proj."),
        (".ffn_norm.weight", ".ln_2.affine"),
        (".ffn_norm.bias", ".ln_2.bias"),
        (".ffn_up.", ".mlp.c_fc."),
        (".attn_output.", ".attn.c_proj."),
        ("output.weight", "lm_head.weight"),
        ("output_norm.bias", "ln_f.bias"),
        ("output_norm.weight", "ln_f.affine"),
    ]
    state = to_layout(GPT2LMHeadModel(config(tie_word_embeddings=False)).state_dict(), GGUF)
    assert "output.weight" in state
    for key, meant in zip(state, to_layout(state, CATEN), strict=True):
        for old, new in replacements:
            key = key.replace(old, new)
        assert key == meant


def test_gguf_with_and_without_an_output_both_give_a_head(model: GPT2LMHeadModel) -> None:
    state = to_layout(model.state_dict(), GGUF)
    assert "output.weight" not in state
    without = to_layout(state, CATEN)
    both = {**tensors(state), "output.weight": torch.ones(11, 4)}
    assert without.ties == {"lm_head.weight": "wte.weight"}
    assert torch.equal(to_layout(both, CATEN)["lm_head.weight"], torch.ones(11, 4))


def test_gguf_names_are_those_of_the_reference() -> None:
    gguf = pytest.importorskip("gguf")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GPT2, 2)
    state = to_layout(GPT2LMHeadModel(config()).state_dict(), HF, from_layout=HF)
    meant = {names.get_name(key, try_suffixes=(".weight", ".bias")) for key in state}
    given = {key for key in state if key != "lm_head.weight"}
    found = to_layout({key: state[key] for key in given}, GGUF)
    assert set(found) == meant - {"output.weight"}


def test_numbers_of_the_published_sizes_come_from_shapes() -> None:
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config())
    found = detect_layout(model.state_dict())
    assert found.layout is HF
    assert found.numbers == {
        "n_layer": 12,
        "n_embd": 768,
        "vocab_size": 50257,
        "n_positions": 1024,
        "n_inner": 3072,
    }


def test_a_nanogpt_file_becomes_the_true_model(model: Any) -> None:
    """nanoGPT has Hugging Face's names and nn.Linear; its square c_proj is turned as well."""
    true = model.state_dict()
    linear = tuple(f"{name}.weight" for name in CONV1D)
    file = {k: v.T.contiguous() if k.endswith(linear) else v for k, v in true.items()}
    assert detect_layout(file).layout is NANOGPT
    turned = to_layout(file, "hf-gpt2", silent=True)
    for key, leaf in turned.items():
        np.testing.assert_array_equal(as_array(Numpy(), leaf), true[key].numpy())
    assert turned.keys() >= dict(model.named_parameters()).keys()


def test_names_and_shapes_of_openai_s_own_file(model: Any) -> None:
    """After the variables of the released models, as transformers' old loader lists them."""
    state = to_layout(model.state_dict(), TF)
    for key, shape in {
        "model/wte": (11, 4),
        "model/wpe": (7, 4),
        "model/h1/attn/c_attn/w": (1, 4, 12),
        "model/h1/mlp/c_proj/w": (1, 16, 4),
        "model/h0/ln_1/g": (4,),
        "model/h0/attn/c_proj/b": (4,),
        "model/ln_f/b": (4,),
    }.items():
        assert as_array(Numpy(), state[key]).shape == shape
    assert len(state) == len(model.state_dict()) - 1
    kernel = as_array(Torch(), state["model/h1/attn/c_proj/w"])[0]
    assert torch.equal(kernel, model.state_dict()["transformer.h.1.attn.c_proj.weight"])


def test_names_and_shapes_of_flax(model: Any) -> None:
    """Flax's Conv1D keeps its kernel as (out, in)."""
    state = to_layout(model.state_dict(), FLAX)
    assert as_array(Numpy(), state["transformer.h.0.attn.c_attn.kernel"]).shape == (12, 4)
    assert {"transformer.wte.embedding", "transformer.h.1.ln_2.scale"} <= set(state)


def test_the_padding_of_nanogpt_goes_and_comes(model: Any) -> None:
    given = {key: leaf for key, leaf in model.state_dict().items() if key != "lm_head.weight"}
    padded = to_layout(given, NANOGPT_PADDED, from_layout=HF)
    assert as_array(Numpy(), padded["transformer.wte.weight"]).shape == (64, 4)
    file = tensors(padded)
    assert detect_layout(file).layout is NANOGPT, "no file shows what is padding"
    back = to_layout(file, HF, from_layout=NANOGPT_PADDED, vocab_size=11)
    assert same(tensors(back), given)
    with pytest.raises(LayoutError, match="vocab_size is needed"):
        to_layout(file, HF, from_layout=NANOGPT_PADDED)


def test_a_nanogpt_without_biases_gets_biases_of_zero(model: Any) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.mul_(0 if name.endswith(".bias") else 1)
    file = tensors(to_layout(model.state_dict(), NANOGPT_BIASLESS))
    assert not any(key.endswith(".bias") for key in file)
    assert detect_layout(file).layout is NANOGPT_BIASLESS
    back = to_layout(file, HF)
    again = GPT2LMHeadModel(model.config).eval()
    again.load_state_dict(tensors(back), strict=False)
    again.tie_weights()
    assert same(again.state_dict(), model.state_dict())


def test_biases_that_are_not_zero_are_not_left_out(model: Any) -> None:
    with pytest.raises(LayoutError, match=r"bias.*not 0 throughout"):
        tensors(to_layout(model.state_dict(), NANOGPT_BIASLESS))
