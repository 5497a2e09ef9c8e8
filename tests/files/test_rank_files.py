from pathlib import Path

import pytest

from caten_sd.errors import FormatError
from caten_sd.files.rank_files import rank_files
from caten_sd.state.source import Folder


def files_of(folder: Path, *names: str) -> list[list[str]]:
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
    assert files_of(tmp_path, *reversed(names), "params.json", "tokenizer.model") == [names]


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


STAGES = [f"mp_rank_{rank:02}_{stage:03}/model_optim_rng.pt" for stage in (0, 1) for rank in (0, 1)]


def test_stages_have_their_ranks(tmp_path: Path) -> None:
    assert files_of(tmp_path, *reversed(STAGES)) == [STAGES[:2], STAGES[2:]]


@pytest.mark.parametrize("lost", STAGES[:3])
def test_a_rank_of_a_stage_that_is_missing_is_named(lost: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=rf"it has {STAGES[3]} and lacks {lost}"):
        files_of(tmp_path, *(name for name in STAGES if name != lost))


def test_names_that_claim_millions_of_ranks_are_refused_soon(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"lacks mp_rank_00_000/\S+, .* 9,999,999,995 more"):
        files_of(tmp_path, "mp_rank_99999_99999/model_optim_rng.pt")


def test_parts_of_experts_and_two_kinds_of_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"the ranks of mp_rank_00/\S+ and of mp_rank_00_000/"):
        files_of(tmp_path, STAGES[0], "mp_rank_00/model_optim_rng.pt")
    with pytest.raises(FormatError, match=r"mp_rank_00_000_001/\S+ has a part of the experts"):
        files_of(tmp_path, "mp_rank_00_000_001/model_optim_rng.pt")
