from pathlib import Path

import numpy as np
import torch

from caten_sd import read_state_dict, write_state_dict


def test_a_file_next_to_a_distributed_checkpoint_is_not_the_checkpoint(tmp_path: Path) -> None:
    """Megatron writes common.pt, with its arguments, into the folder of the tensors."""
    write_state_dict({"w": np.arange(3.0)}, tmp_path / "saved.dcp")
    torch.save({"iteration": 7}, tmp_path / "saved.dcp" / "common.pt")
    (tmp_path / "saved.dcp").rename(tmp_path / "saved")
    with read_state_dict(tmp_path / "saved") as state:
        assert np.asarray(state["w"]).tolist() == [0, 1, 2]


def test_a_folder_with_one_file_is_that_file(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2)}, tmp_path / "weights.pt")
    with read_state_dict(tmp_path) as state:
        assert list(state) == ["w"]


def test_a_model_next_to_some_ranks_of_one_is_read(tmp_path: Path) -> None:
    for number in (0, 2):
        torch.save({"w": torch.ones(2)}, tmp_path / f"consolidated.{number:02}.pth")
    write_state_dict({"whole": np.ones(3)}, tmp_path / "model.safetensors")
    with read_state_dict(tmp_path) as state:
        assert list(state) == ["whole"]
