from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from transformers import GPT2Config, GPT2LMHeadModel

from caten_sd.errors import FormatError, StateDictError
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.state.state_dict import StateDict

INDEX = "model.safetensors.index.json"


def arrays(count: int = 5, scale: float = 1.0) -> dict[str, Any]:
    return {f"layers.{n}.w": np.full((4, 8), n * scale, np.float32) for n in range(count)}


def load(path: Path) -> dict[str, Any]:
    with read_state_dict(path) as found:
        return {key: leaf.numpy().copy() for key, leaf in found.items()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def same(found: dict[str, Any], given: dict[str, Any]) -> None:
    assert list(found) == list(given)
    for key, array in given.items():
        np.testing.assert_array_equal(found[key], array)


@pytest.fixture
def gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(n_layer=2, n_head=2, n_embd=8, vocab_size=32, n_positions=8))


def test_what_transformers_saves_is_read(tmp_path: Path, gpt2: GPT2LMHeadModel) -> None:
    gpt2.save_pretrained(tmp_path, max_shard_size="3KB")
    expected = gpt2.state_dict()
    for path in (tmp_path, tmp_path / INDEX):
        with read_state_dict(path) as found:
            assert set(found) == set(expected) - {"lm_head.weight"}
            for key, leaf in found.items():
                torch.testing.assert_close(leaf.torch(), expected[key], rtol=0, atol=0)


def test_transformers_and_hub_open_what_is_written(tmp_path: Path, gpt2: GPT2LMHeadModel) -> None:
    gpt2.config.save_pretrained(tmp_path)
    state = {key: leaf for key, leaf in gpt2.state_dict().items() if key != "lm_head.weight"}
    write_state_dict(state, tmp_path, max_shard_size="3KB")
    write_state_dict(state, tmp_path, max_shard_size="2KB")  # over a live set, with other names
    again = GPT2LMHeadModel.from_pretrained(tmp_path)
    for key, leaf in gpt2.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], leaf, rtol=0, atol=0)
    from huggingface_hub import load_torch_model

    fresh = GPT2LMHeadModel(gpt2.config)
    load_torch_model(fresh, tmp_path, strict=False)
    torch.testing.assert_close(fresh.transformer.wte.weight, gpt2.transformer.wte.weight)


def test_a_folder_gets_one_file_where_one_is_enough(tmp_path: Path) -> None:
    write_state_dict(arrays(), tmp_path / "out")
    assert names(tmp_path / "out") == ["model.safetensors"]
    same(load(tmp_path / "out"), arrays())


def test_an_index_path_gets_an_index_whatever_the_size(tmp_path: Path) -> None:
    write_state_dict(arrays(), tmp_path / "out" / INDEX)
    assert names(tmp_path / "out") == ["model-00001-of-00001.safetensors", INDEX]
    same(load(tmp_path / "out"), arrays())


def test_shards_of_another_suffix(tmp_path: Path) -> None:
    write_state_dict(arrays(), tmp_path / "pytorch_model.bin.index.json", max_shard_size=300)
    assert names(tmp_path)[0] == "pytorch_model-00001-of-00003.bin"
    same(load(tmp_path), arrays())
    part = torch.load(tmp_path / "pytorch_model-00003-of-00003.bin", weights_only=True)
    assert list(part) == ["layers.4.w"]


def test_one_set_replaces_another_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "vae-00001-of-00002.safetensors").write_text("another model's")
    for scale in (1, 2, 3):
        write_state_dict(arrays(scale=scale), tmp_path, max_shard_size=300)
        same(load(tmp_path / INDEX), arrays(scale=scale))
        assert len(names(tmp_path)) == 6
    write_state_dict(arrays(scale=4), tmp_path)
    assert names(tmp_path) == ["config.json", "model.safetensors", "vae-00001-of-00002.safetensors"]
    write_state_dict(arrays(scale=5), tmp_path, max_shard_size=300)
    assert "model.safetensors" not in names(tmp_path)
    same(load(tmp_path / INDEX), arrays(scale=5))


def test_same_state_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_state_dict(arrays(), tmp_path / name, max_shard_size=300)
    for name in names(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_ties_and_metadata_go_over_shards(tmp_path: Path) -> None:
    given = arrays()
    state = StateDict({**given, "head": given["layers.3.w"]}, metadata={"step": "3"})
    write_state_dict(state, tmp_path, max_shard_size=300)
    with read_state_dict(tmp_path) as found:
        assert dict(found.ties) == {"head": "layers.3.w"}
        assert found.metadata == {"format": "pt", "step": "3"}
        assert found["head"] is found["layers.3.w"]


def test_output_on_input(tmp_path: Path) -> None:
    write_state_dict(arrays(), tmp_path, max_shard_size=300)
    with read_state_dict(tmp_path) as found:
        turned = {key: leaf.numpy().T for key, leaf in found.items()}
        write_state_dict(turned, tmp_path, max_shard_size=400)
    same(load(tmp_path), {key: array.T for key, array in arrays().items()})


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    write_state_dict(arrays(), tmp_path / "old", max_shard_size=300)
    before = names(tmp_path / "old")
    bad = {**arrays(scale=2), "x": object()}
    with pytest.raises(StateDictError, match="'x'"):
        write_state_dict(bad, tmp_path / "old", max_shard_size=300)
    assert names(tmp_path / "old") == before
    same(load(tmp_path / "old"), arrays())
    with pytest.raises(StateDictError, match="'x'"):
        write_state_dict(bad, tmp_path / "new", max_shard_size=300)
    assert not (tmp_path / "new").exists()


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    write_state_dict(arrays(), tmp_path, max_shard_size=300)
    return tmp_path


def edit(folder: Path, **changes: str | None) -> None:
    index = json.loads((folder / INDEX).read_text())
    for key, name in changes.items():
        index["weight_map"].pop(key, None)
        if name is not None:
            index["weight_map"][key] = name
    (folder / INDEX).write_text(json.dumps(index))


def refused(folder: Path, problem: str) -> None:
    with pytest.raises(FormatError, match=problem) as caught:
        read_state_dict(folder)
    assert "\n" not in str(caught.value)


def test_a_shard_that_is_named_and_absent(broken: Path) -> None:
    (broken / "model-00002-of-00003.safetensors").unlink()
    refused(
        broken,
        r"3 shards; 1 missing: model-00002-of-00003\.safetensors \(2 tensors\)",
    )


def test_a_key_that_its_shard_lacks(broken: Path) -> None:
    edit(broken, v="model-00001-of-00003.safetensors")
    refused(broken, r"maps v to model-00001-of-00003\.safetensors, .* not in any shard")
    edit(broken, v=None, **{"layers.3.w": "model-00001-of-00003.safetensors"})
    refused(
        broken, r"maps layers\.3\.w to .*00001-of.*layers\.3\.w is in .*00002-of-00003\.safetensors"
    )


def test_a_shard_that_the_index_does_not_name(broken: Path) -> None:
    for stray in ("model-00004-of-00003.safetensors", "extra.safetensors"):
        save_file({"x": np.ones(2)}, broken / stray)
        refused(broken, f"3 shards; 1 more in it: {stray}")
        (broken / stray).unlink()


def test_a_key_that_the_index_does_not_name(broken: Path) -> None:
    edit(broken, **{"layers.1.w": None})
    refused(broken, r"model-00001-of-00003\.safetensors holds layers\.1\.w")


def test_a_key_in_two_shards(broken: Path) -> None:
    save_file({"layers.4.w": np.ones(2), "layers.0.w": np.ones(2)}, broken / "b.safetensors")
    edit(broken, **{"layers.4.w": "b.safetensors"})
    refused(broken, r"'layers\.0\.w' .*model-00001-of-00003\.safetensors.* b\.safetensors")


@pytest.mark.parametrize(
    "name", ["../x.safetensors", "/x.safetensors", "a/../../x", "a\\b", "a\0b", "", ".", "sub/x"]
)
def test_no_path_leads_out_of_the_folder(broken: Path, name: str) -> None:
    outside = broken.parent / f"{broken.name}_outside"
    outside.mkdir()
    save_file({"v": np.ones(2)}, outside / "x.safetensors")
    save_file({"v": np.ones(2)}, outside / "x")
    (broken / "sub").symlink_to(outside)
    edit(broken, v=name)
    refused(broken, "path|is a link")


def test_entries_of_a_download_cache_are_links(broken: Path) -> None:
    blobs = broken.parent / f"{broken.name}_blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(broken.iterdir())):
        path.rename(blobs / str(number))
        path.symlink_to(os.path.relpath(blobs / str(number), broken))
    same(load(broken), arrays())
    same(load(broken / INDEX), arrays())


def test_a_set_without_an_index(broken: Path) -> None:
    (broken / INDEX).unlink()
    same(load(broken), arrays())
    (broken / "model-00003-of-00003.safetensors").unlink()
    refused(broken, r"3 shards; 1 missing: model-00003-of-00003\.safetensors")


def test_leftovers_of_killed_saves_are_no_strays(broken: Path) -> None:
    for generation in (1, 2):
        (broken / f"model-g{generation}-00001-of-00002.safetensors").write_bytes(b"half")
        same(load(broken), arrays())
    write_state_dict(arrays(scale=2), broken, max_shard_size=300)
    assert [name for name in names(broken) if not name.startswith("model-g3")] == [INDEX]
    (broken / "model-00001-of-00003.safetensors").write_bytes(b"half")
    same(load(broken), arrays(scale=2))


def test_a_safetensors_index_leads_to_no_pickle(broken: Path) -> None:
    torch.save({"v": torch.ones(2)}, broken / "v.safetensors")
    edit(broken, v="v.safetensors")
    refused(broken, r"v\.safetensors is torch zip")


def test_of_several_files_safetensors_wins_and_the_others_stay_closed(tmp_path: Path) -> None:
    save_file({"w": np.ones(2, ml_dtypes.bfloat16).astype("f4")}, tmp_path / "model.safetensors")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02cos\nsystem\n.")
    (tmp_path / "training_args.bin").write_bytes(b"\x80\x02.")
    (tmp_path / "config.json").write_text("{}")
    assert load(tmp_path)["w"].tolist() == [1, 1]


def test_of_several_unknown_files_none_is_guessed(tmp_path: Path) -> None:
    for name in ("a.safetensors", "b.safetensors"):
        save_file({"w": np.ones(2)}, tmp_path / name)
    refused(tmp_path, r"2 checkpoints are in it: a.safetensors \(\d+ bytes\), b.safetensors \(")


def test_a_folder_says_where_it_found_what(tmp_path: Path) -> None:
    save_file({"w": np.ones(2)}, tmp_path / "model.safetensors")
    torch.save({"w": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    with read_state_dict(tmp_path) as found:
        assert found.origin == "safetensors, model.safetensors in the folder"
