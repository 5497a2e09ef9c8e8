from pathlib import Path

import pytest

from caten_sd.errors import FormatError
from caten_sd.files.rank_files import rank_files
from caten_sd.state.source import Folder


def files_of(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return rank_files(Folder(folder))


@pytest.mark.parametrize(
    "names",
    [
        ["consolidated.00.pth", "consolidated.01.pth"],
        ["consolidated.00.safetensors", "consolidated.01.safetensors"],
        ["mp_rank_00/model_optim_rng.pt", "mp_rank_01/model_optim_rng.pt"],
    ],
)
def test_the_files_of_all_ranks_in_order(names: list[str], tmp_path: Path) -> None:
    assert files_of(tmp_path, *reversed(names), "params.json", "tokenizer.model") == names


@pytest.mark.parametrize("name", ["consolidated.00.pth", "consolidated.safetensors", "model.pth"])
def test_one_file_is_not_a_set(name: str, tmp_path: Path) -> None:
    assert files_of(tmp_path, name) == []


def test_a_rank_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"has consolidated\.03\.pth and lacks consolidated\.01"):
        files_of(tmp_path, *(f"consolidated.{n:02}.pth" for n in (0, 2, 3)))


def test_one_rank_in_two_formats_is_not_two_ranks(tmp_path: Path) -> None:
    one = files_of(tmp_path, "consolidated.00.pth", "consolidated.00.safetensors")
    assert one == []
    with pytest.raises(FormatError, match=r"consolidated\.00\.pth and of consolidated\.00\.safe"):
        files_of(tmp_path, "consolidated.01.pth", "consolidated.01.safetensors")


def test_a_rank_of_megatron_that_is_missing_is_named(tmp_path: Path) -> None:
    names = [f"mp_rank_{n:02}/model_optim_rng.pt" for n in (0, 2)]
    with pytest.raises(FormatError, match=r"it has mp_rank_02/\S+ and lacks mp_rank_01/"):
        files_of(tmp_path, *names)
