from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import caten_sd as sd
from caten_sd.files import config
from caten_sd.files.config import config_of


def test_the_config_is_that_in_the_folder_or_next_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"n_head": 4}')
    assert config_of(tmp_path) == {"n_head": 4}
    assert config_of(tmp_path / "model.safetensors") == {"n_head": 4}


def test_an_adapter_has_a_config_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    assert config_of(tmp_path) == {"peft_type": "LORA"}
    assert config_of(tmp_path / "model.safetensors") is None
    (tmp_path / "config.json").write_text('{"n_head": 4}')
    assert config_of(tmp_path) == {"n_head": 4}
    assert config_of(tmp_path / "adapter_model.safetensors") == {"peft_type": "LORA"}


def test_a_layout_of_a_model_is_not_one_of_its_adapter(tmp_path: Path) -> None:
    model = sd.get_state_dict(sd.nn.Transformer(4, 2, 2, 1e-5, 7, max_seq_len=5))
    sd.write_state_dict(model, tmp_path / "adapter_model.safetensors")
    with sd.read_state_dict(tmp_path / "adapter_model.safetensors") as state:
        found = sd.detect_layout(state)
        assert found.candidates[0].taken == len(state)
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with sd.read_state_dict(tmp_path / "adapter_model.safetensors") as state:
        found = sd.detect_layout(state)
        assert found.layout is None
        assert "the peft_type of its adapter_config.json is 'LORA'" in str(found)


def test_the_config_next_to_an_archive_is_not_that_of_its_members(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"n_head": 4}')
    assert config_of(tmp_path / "a.tar::model.safetensors") is None


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_a_config_that_cannot_be_read_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    assert config_of(tmp_path) is None
    assert config_of(tmp_path / "absent" / "w.pt") is None


def test_a_config_over_the_limit_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text('{"n_head": 4}')
    monkeypatch.setattr(config, "MAX_CONFIG", 5)
    assert config_of(tmp_path) is None


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one model as one file, as shards with an index, and in an archive."""
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("config")
    torch.manual_seed(0)
    config = GPT2Config(n_embd=24, n_head=3, n_layer=1, vocab_size=32, bos_token_id=0)
    model = GPT2LMHeadModel(config)
    model.save_pretrained(folder / "one")
    model.save_pretrained(folder / "shards", max_shard_size="20kB")
    return folder


PLACES = ["one", "one/model.safetensors", "shards", "shards/model.safetensors.index.json"]


@pytest.mark.parametrize("place", PLACES)
def test_to_layout_takes_the_numbers_that_convert_takes(
    place: str, gpt2: Path, tmp_path: Path
) -> None:
    # No shape gives the number of heads.
    sd.convert(gpt2 / place, tmp_path / "out.gguf", layout="gguf-gpt2")
    with sd.read_state_dict(gpt2 / place) as state:
        assert state.config["n_head"] == 3
        made = sd.to_layout(state, "gguf-gpt2")
        edited = sd.to_layout(state.select("*").rename({"transformer": "transformer"}), "gguf-gpt2")
        sd.write_state_dict(made, tmp_path / "same.gguf")
    assert made.metadata == edited.metadata
    assert made.metadata["gpt2.attention.head_count"] == 3
    with (
        sd.read_state_dict(tmp_path / "out.gguf") as out,
        sd.read_state_dict(tmp_path / "same.gguf") as same,
    ):
        assert sd.digest(out) == sd.digest(same)
        # What convert says of the file as a whole is not the state's.
        more = out.metadata.keys() - same.metadata.keys()
        assert all(each.startswith("general.") for each in more)
        ours = same.metadata.keys() - {"GGUF.types"}
        assert all(out.metadata[each] == same.metadata[each] for each in ours)


@pytest.mark.parametrize("place", PLACES)
def test_what_the_config_says_of_the_architecture_is_a_veto_in_every_verb(
    place: str, gpt2: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(gpt2, tmp_path / "copy")
    for config_file in folder.rglob("config.json"):
        config_file.write_text('{"model_type": "gptj"}')
    with sd.read_state_dict(folder / place) as state, pytest.raises(sd.LayoutError, match="'gptj'"):
        sd.to_layout(state, "caten-gpt2")
    with pytest.raises(sd.LayoutError, match="'gptj'"):
        sd.convert(folder / place, tmp_path / "out.npz", layout="caten-gpt2")
