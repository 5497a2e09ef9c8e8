"""Select, rename, shard and describe while converting; checked with the formats' own libraries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

import caten_sd as sd

LAYERS = 3


def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    blocks = {
        f"h.{n}.{name}.weight": torch.randn(8, 4) for n in range(LAYERS) for name in ("attn", "mlp")
    }
    return {"wte.weight": torch.randn(16, 4), **blocks, "step": torch.tensor(7)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    save_file(weights(), tmp_path / "in.safetensors", {"format": "pt", "note": "kept"})
    return tmp_path / "in.safetensors"


def test_the_steps_follow_each_other(source: Path, tmp_path: Path) -> None:
    done = sd.convert(
        source,
        tmp_path / "out.safetensors",
        only=["h.*", "wte*"],
        exclude="*.mlp.*",
        rename={"h.{i}.attn": "layers.{i}.mixer"},
        dtype={"layers.0.*": "f32", "*": "bf16"},
        metadata={"author": "me"},
    )
    given, written = weights(), load_file(tmp_path / "out.safetensors")
    assert written.keys() == {"wte.weight", *(f"layers.{n}.mixer.weight" for n in range(LAYERS))}
    for n in range(LAYERS):
        expected = given[f"h.{n}.attn.weight"].to(torch.bfloat16 if n else torch.float32)
        assert torch.equal(written[f"layers.{n}.mixer.weight"], expected)
    with safe_open(tmp_path / "out.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "note": "kept", "author": "me"}
    assert done.edits == (
        "4 of 8 keys were selected, as asked",
        "3 keys were renamed, as asked",
    )
    assert done.tensors == 4


def test_it_is_what_select_and_rename_give(source: Path, tmp_path: Path) -> None:
    sd.convert(source, tmp_path / "a.npz", only="h.*", rename=lambda key: key.replace("h.", "b."))
    with sd.read_state_dict(source) as state:
        edited = state.select("h.*").rename({"h": "b"})
        sd.write_state_dict(edited, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"only": "g.*"}, r"no key matches the pattern 'g\.\*'; the keys are "),
        ({"exclude": "h"}, r"no key matches the pattern 'h'; for the keys below it write 'h\.\*'"),
        ({"rename": {"g": "x"}}, r"the rename 'g' matches no key"),
        (
            {"rename": {"h.0": "x", "h.1": "x"}},
            r"h\.0\.attn\.weight and h\.1\.attn.* both become x",
        ),
        ({"only": "h.*", "exclude": "*"}, r"none of 8 keys is left to write.*--except.*change"),
        ({"only": "h.*", "dtype": {"wte*": "f32"}}, r"no key matches the pattern 'wte\*'"),
    ],
)
def test_what_cannot_be_done_leaves_everything_as_it_was(
    source: Path, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    (tmp_path / "out.npz").write_bytes(b"old")
    with pytest.raises(sd.StateDictError, match=said):
        sd.convert(source, tmp_path / "out.npz", **options)
    assert (tmp_path / "out.npz").read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"in.safetensors", "out.npz"}


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gpt2")
    torch.manual_seed(0)
    config = GPT2Config(n_embd=32, n_head=2, n_layer=2, vocab_size=32, bos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def test_a_layout_comes_first_so_that_the_whole_model_tells_what_it_is(
    gpt2: Path, tmp_path: Path
) -> None:
    done = sd.convert(
        gpt2, tmp_path / "out.safetensors", layout="caten-gpt2", only="h.0.*", rename={"h.0": "b"}
    )
    given = load_file(gpt2 / "model.safetensors")
    written = load_file(tmp_path / "out.safetensors")
    assert len(written) == sum(".h.0." in key for key in given)
    assert all(key.startswith("b.") for key in written)
    turned = given["transformer.h.0.mlp.c_fc.weight"].T
    assert torch.equal(written["b.mlp.c_fc.weight"], turned)
    assert done.layout == ""  # whoever reads the file would take its keys for those of the layout
    with sd.read_state_dict(tmp_path / "out.safetensors") as state:
        assert "caten_sd.layout" not in state.metadata


def test_shards_are_those_of_hugging_face(gpt2: Path, tmp_path: Path) -> None:
    sd.convert(gpt2, f"{tmp_path}/out/", max_shard_size="50kB", metadata={"note": "b"})
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["note"] == "b"
    assert len(set(index["weight_map"].values())) > 1
    (tmp_path / "out" / "config.json").write_bytes((gpt2 / "config.json").read_bytes())
    there = GPT2LMHeadModel.from_pretrained(tmp_path / "out").state_dict()
    for key, tensor in GPT2LMHeadModel.from_pretrained(gpt2).state_dict().items():
        assert torch.equal(there[key], tensor)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt", ".gguf", ".msgpack", ".npy"])
def test_one_file_has_no_shards(source: Path, tmp_path: Path, suffix: str) -> None:
    with pytest.raises(sd.FormatError, match=r"whose writer has no option max_shard_size.*end the"):
        sd.convert(source, tmp_path / f"out{suffix}", only="wte*", max_shard_size="1kB")
    assert [path.name for path in tmp_path.iterdir()] == ["in.safetensors"]


WITH_METADATA = ["out.safetensors", "out.npz", "out.pt", "out.gguf", "out.msgpack", "out.npy/"]
WITH_METADATA += ["out.dcp", "out/", "two/model.safetensors.index.json"]


@pytest.mark.parametrize("target", WITH_METADATA)
def test_metadata_that_is_asked_for_is_there_and_replaces_the_old(
    source: Path, tmp_path: Path, target: str
) -> None:
    out = f"{tmp_path}/{target}"
    sd.convert(source, out, metadata={"note": "new", "author": "me = you"})
    with sd.read_state_dict(out) as state:
        assert (state.metadata["note"], state.metadata["author"]) == ("new", "me = you")


def test_gguf_py_reads_the_metadata(source: Path, tmp_path: Path) -> None:
    sd.convert(source, tmp_path / "out.gguf", exclude="step", metadata={"general.name": "mine"})
    reader = gguf.GGUFReader(tmp_path / "out.gguf")
    assert reader.fields["general.name"].contents() == "mine"
    assert {tensor.name for tensor in reader.tensors} == weights().keys() - {"step"}


def written_by(verb: str, source: Path, target: Any, **options: Any) -> None:
    if verb == "write":
        sd.write_state_dict({"w": np.zeros(2)}, target, **options)
    else:
        sd.convert(source, target, only="wte*", **options)


@pytest.mark.parametrize("verb", ["write", "convert"])
@pytest.mark.parametrize("options", [{"metadata": {"a": "b"}}, {"digests": True}])
def test_a_format_without_a_place_for_metadata_refuses_what_is_asked_for(
    source: Path, tmp_path: Path, verb: str, options: dict[str, Any]
) -> None:
    with pytest.raises(sd.FormatError, match=r"out\.npy: .* is npy, which has no place for"):
        written_by(verb, source, tmp_path / "out.npy", **options)
    assert not (tmp_path / "out.npy").exists()


def test_metadata_that_a_format_has_no_place_for_is_said(source: Path, tmp_path: Path) -> None:
    done = sd.convert(source, tmp_path / "out.npy", only="wte*")
    assert set(done.left_out) == {"metadata format", "metadata note"}
    assert np.array_equal(np.load(tmp_path / "out.npy"), weights()["wte.weight"].numpy())


RESERVED = [
    ("out.safetensors", "__caten_sd__"),
    ("out.gguf", "caten_sd.tied.x"),
    ("out/", "total_size"),
    ("out/", "__caten_sd__"),
]


@pytest.mark.parametrize("verb", ["write", "convert"])
@pytest.mark.parametrize(("target", "name"), RESERVED)
def test_what_a_writer_makes_itself_is_not_taken(
    source: Path, tmp_path: Path, target: str, name: str, verb: str
) -> None:
    with pytest.raises(sd.FormatError, match=f"the entry '{name}' of the metadata is one that its"):
        written_by(verb, source, f"{tmp_path}/{target}", metadata={name: "x"})
    assert [path.name for path in tmp_path.iterdir()] == ["in.safetensors"]


@pytest.mark.parametrize("verb", ["write", "convert"])
@pytest.mark.parametrize("target", WITH_METADATA)
@pytest.mark.parametrize("name", ["caten_sd.layout", "caten_sd.digests", "caten_sd.", "caten_sd.x"])
def test_what_only_this_library_says_of_a_file_is_not_taken(
    source: Path, tmp_path: Path, target: str, name: str, verb: str
) -> None:
    with pytest.raises(sd.FormatError, match=f"the entry '{name}' of the metadata would say"):
        written_by(verb, source, f"{tmp_path}/{target}", metadata={name: "hf-gpt2"})
    assert [path.name for path in tmp_path.iterdir()] == ["in.safetensors"]


def test_what_was_read_from_a_file_may_be_given_again(tmp_path: Path) -> None:
    stamped = sd.StateDict(weights(), metadata={"caten_sd.layout": "hf-gpt2"})
    sd.write_state_dict(stamped, tmp_path / "a.safetensors", metadata={"note": "x"})
    with sd.read_state_dict(tmp_path / "a.safetensors") as read:
        sd.write_state_dict(read, tmp_path / "b.safetensors", metadata=read.metadata)
        with pytest.raises(sd.FormatError, match="would say"):
            sd.write_state_dict(dict(read), tmp_path / "c.safetensors", metadata=read.metadata)
    with sd.read_state_dict(tmp_path / "b.safetensors") as again:
        assert again.metadata["caten_sd.layout"] == "hf-gpt2"


@pytest.mark.parametrize("target", WITH_METADATA)
def test_no_metadata_makes_a_file_that_cannot_be_read(
    source: Path, tmp_path: Path, target: str
) -> None:
    for name in ("__caten_sd__", "caten_sd.digests", "total_size", "__metadata__", "", "caten_sd"):
        out = f"{tmp_path}/{name or 'empty'}/{target}"
        Path(out).parent.mkdir(parents=True)
        try:
            sd.convert(source, out, metadata={name: "x"})
        except sd.CatenError:
            assert not Path(out).exists() or not list(Path(out).iterdir())
            continue
        with sd.read_state_dict(out) as state:
            assert state.metadata[name] == "x"
            assert len(state) == len(weights())
