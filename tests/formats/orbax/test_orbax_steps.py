"""Which save of a folder is read, and what is said of one that is not whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import caten_sd as sd
from caten_sd.cli import main

W = np.arange(6, dtype="f4").reshape(2, 3)


def saved(path: Path, number: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sd.write_state_dict({"w": W + number}, f"{path}/", format="orbax")
    return path


def first_value(path: Path) -> float:
    with sd.read_state_dict(path) as state:
        return float(state["w"].numpy()[0, 0])


@pytest.mark.parametrize("names", [("9", "10"), ("step_9", "step_10"), ("000009", "000010")])
@pytest.mark.parametrize("item", ["", "default", "state"])
def test_the_step_with_the_highest_number_is_taken(
    names: tuple[str, str], item: str, tmp_path: Path
) -> None:
    for number, name in enumerate(names):
        saved(tmp_path / name / item, number)
    assert first_value(tmp_path) == 1
    with sd.read_state_dict(tmp_path) as state:
        assert names[1] in state.origin


def test_a_save_that_is_not_done_is_passed_over(tmp_path: Path) -> None:
    saved(tmp_path / "9", 9)
    saved(tmp_path / "10.orbax-checkpoint-tmp", 10)
    (tmp_path / "11").mkdir()
    assert first_value(tmp_path) == 9


@pytest.mark.parametrize(
    "name", ["c.orbax-checkpoint-tmp", "c.orbax-checkpoint-tmp-123", "12.orbax-checkpoint-tmp"]
)
def test_a_save_that_is_not_done_is_refused_by_its_own_path(name: str, tmp_path: Path) -> None:
    saved(tmp_path / name)
    with pytest.raises(sd.FormatError, match=rf"not done.*rename it to '{name.split('.')[0]}'"):
        sd.read_state_dict(tmp_path / name)


def test_a_folder_with_nothing_but_saves_that_are_not_done_names_them(tmp_path: Path) -> None:
    (tmp_path / "3.orbax-checkpoint-tmp" / "default").mkdir(parents=True)
    with pytest.raises(sd.FormatError, match=r"no save .*done.* 3\.orbax-checkpoint-tmp"):
        sd.read_state_dict(tmp_path)


def test_a_folder_with_a_number_that_is_none_of_orbax_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "10").mkdir()
    (tmp_path / "10" / "notes.txt").write_text("x")
    with pytest.raises(sd.FormatError, match="makes it a checkpoint"):
        sd.read_state_dict(tmp_path)


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("_METADATA", "_METADATA"),
        ("w/.zarray", "'w' is missing"),
        ("w/0.0", r"chunk w/0\.0 is missing"),
    ],
)
def test_a_file_that_is_missing_is_named(file: str, named: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "c")
    (path / "_CHECKPOINT_METADATA").write_text("{}")
    (path / file).unlink()
    with pytest.raises(sd.FormatError, match=named):
        sd.read_state_dict(path)


def test_an_item_whose_save_is_not_done_is_named(tmp_path: Path) -> None:
    saved(tmp_path / "0" / "default")
    saved(tmp_path / "0" / "opt.orbax-checkpoint-tmp-3")
    with pytest.raises(sd.FormatError, match=r"opt\.orbax-checkpoint-tmp-3 in it is not done"):
        sd.read_state_dict(tmp_path)


def test_parts_of_processes_that_were_not_joined_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "c")
    (path / "ocdbt.process_0").mkdir()
    with pytest.raises(sd.FormatError, match=r"ocdbt\.process_0 but no manifest\.ocdbt"):
        sd.read_state_dict(path)


def test_a_save_of_an_old_orbax_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "c")
    (path / "_CHECKPOINT_METADATA").write_text("{}")
    (path / "_METADATA").rename(path / "checkpoint")
    with pytest.raises(sd.FormatError, match="restore it with orbax"):
        sd.read_state_dict(path)


def test_a_folder_around_the_steps_says_where_they_are(tmp_path: Path) -> None:
    saved(tmp_path / "run" / "checkpoints" / "10")
    with pytest.raises(sd.FormatError, match=r"run/checkpoints/10.*caten-sd show"):
        sd.read_state_dict(tmp_path)


def test_a_working_folder_and_its_steps_are_opened_by_relative_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / "runs" / "10" / "default", 10)
    monkeypatch.chdir(tmp_path / "runs")
    assert first_value(Path("10")) == 10
    with sd.read_state_dict(".") as state:
        monkeypatch.chdir("/")
        assert state["w"].numpy()[0, 0] == 10


def test_a_link_to_a_folder_is_not_followed_below_the_checkpoint(tmp_path: Path) -> None:
    saved(tmp_path / "other")
    path = saved(tmp_path / "c")
    shutil.rmtree(path / "w")
    (path / "w").symlink_to(tmp_path / "other" / "w")
    with pytest.raises(sd.FormatError, match="link"):
        sd.read_state_dict(path)


def test_show_says_which_step_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path / "9", 9)
    saved(tmp_path / "10", 10)
    assert main(["show", str(tmp_path)]) == 0
    assert "step 10, the newest of 2" in capsys.readouterr().out
