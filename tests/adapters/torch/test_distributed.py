"""Divided models in real processes: 1, 2 and 4 of them, changed between save and load."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from caten_sd import read_state_dict, write_state_dict
from tests.adapters.torch.divided import values
from tests.adapters.torch.ranks import Ranks

Run = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run a function of the worker in ``world`` processes, which the next call uses again."""
    kept: dict[int, Ranks] = {}

    def run(world: int, name: str, *arguments: Any) -> list[Any]:
        if world not in kept or not kept[world].alive:
            kept[world] = Ranks(world, tmp_path_factory.mktemp("ranks"))
        return kept[world].call(name, *arguments)

    yield run
    for ranks in kept.values():
        ranks.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a Net in two formats, written by one process."""
    state = values()
    write_state_dict(state, tmp_path / "net.safetensors")
    write_state_dict(state, tmp_path / "offline.dcp")
    torch.save(state, tmp_path / "net.pt")
    return tmp_path


@pytest.mark.parametrize("world", [2, 4])
def test_the_indices_of_a_process_are_those_torch_gives_it(
    run: Run, tmp_path: Path, world: int
) -> None:
    assert set(run(world, "axes_are_torchs", tmp_path)) == {12 if world == 2 else 48}


def test_a_process_outside_the_mesh_does_not_have_indices(run: Run, tmp_path: Path) -> None:
    sizes = run(4, "has_no_indices_outside_the_mesh", tmp_path)
    assert sizes == [[2, 2], [2, 2], [0, 0], [0, 0]]


def test_rows_that_do_not_follow_each_other_are_loaded(run: Run, tmp_path: Path) -> None:
    rows = run(4, "loads_rows_that_do_not_follow_each_other", tmp_path)
    assert [len(each) for each in rows] == [5, 5, 4, 4]


def test_a_snapshot_is_divided_and_keeps_its_values(run: Run, tmp_path: Path) -> None:
    assert run(2, "copies", tmp_path) == [[], []]


def test_every_way_of_a_load_reaches_a_divided_slot(run: Run, tmp_path: Path) -> None:
    run(2, "loads_in_every_way", tmp_path)


@pytest.mark.parametrize(
    ("world", "kind"), [(1, "fsdp"), (2, "fsdp"), (2, "tp"), (4, "2d"), (2, "meta")]
)
def test_each_process_reads_only_its_own_shard(
    run: Run, folder: Path, world: int, kind: str
) -> None:
    found = run(world, "loads", folder, kind, "net.safetensors")
    for differing, read, held in found:
        assert differing == []
        if kind in ("fsdp", "meta"):  # columns lie scattered over all bytes of the tensor
            assert read == held
    every = sum(v.nbytes for k, v in values().items() if k != "head.weight")
    if kind == "fsdp":
        twice = (world - 1) * values()["scale"].nbytes  # the buffer is in every process
        assert sum(read for _, read, _ in found) == every + twice


@pytest.mark.parametrize("name", ["offline.dcp", "net.pt"])
def test_other_formats_are_read_by_shards_too(run: Run, folder: Path, name: str) -> None:
    for differing, _, _ in run(2, "loads", folder, "fsdp", name):
        assert differing == []


def test_every_kind_of_leaf_loads_into_every_placement(run: Run, tmp_path: Path) -> None:
    assert run(2, "loads_every_leaf", tmp_path) == [[], []]


def test_a_model_on_the_meta_device_adopts_its_shards_and_trains(run: Run, folder: Path) -> None:
    for differing, change in run(2, "trains_after_adopting", folder):
        assert differing == []
        assert change < 1e-6


@pytest.mark.parametrize(("writers", "readers"), [(2, 4), (4, 1), (1, 2)])
def test_a_checkpoint_of_n_processes_loads_in_m(
    run: Run, tmp_path: Path, writers: int, readers: int
) -> None:
    kind = "2d" if writers == 4 else "fsdp"
    run(writers, "saves", tmp_path, kind, "net.dcp")
    with read_state_dict(tmp_path / "net.dcp") as state:  # in this process alone
        assert all(torch.equal(state[key].torch(), value) for key, value in values().items())
        assert state.metadata["step"] == "0"
        assert state.ties == {"head.weight": "wte.weight"}
    for differing, _, _ in run(readers, "loads", tmp_path, "fsdp", "net.dcp"):
        assert differing == []
    assert run(readers, "torch_loads", tmp_path, "net.dcp") == [[]] * readers


def test_torch_loads_what_was_written_offline(run: Run, folder: Path) -> None:
    assert run(2, "torch_loads", folder, "offline.dcp") == [[], []]


@pytest.mark.parametrize(
    ("rank", "moment"), [(1, "planned"), (1, "written"), (0, "written"), (0, "gathered")]
)
def test_a_process_that_dies_in_a_save_leaves_the_old_checkpoint(
    run: Run, tmp_path: Path, rank: int, moment: str
) -> None:
    (files, _) = run(2, "saves", tmp_path, "fsdp", "net.dcp")
    assert files == [".metadata", "__0_0.distcp", "__1_0.distcp"]
    messages = run(2, "dies", tmp_path, "net.dcp", rank, moment)
    assert messages[rank] is None
    assert messages[1 - rank] is None or "so save again" in messages[1 - rank]
    with read_state_dict(tmp_path / "net.dcp") as state:
        assert all(torch.equal(state[key].torch(), value) for key, value in values().items())
    for differing, _, _ in run(2, "loads", tmp_path, "fsdp", "net.dcp"):
        assert differing == []
    (files, _) = run(2, "saves", tmp_path, "fsdp", "net.dcp", 1)
    assert len(files) == 3  # the file of the process that died is removed


def test_a_full_disk_of_one_process_is_an_error_in_all(run: Run, tmp_path: Path) -> None:
    run(2, "saves", tmp_path, "fsdp", "net.dcp")
    for messages in run(2, "dies", tmp_path, "net.dcp", 1, "full disk"):
        assert "No space left on device" in messages
        assert messages.count("\n") == 0
    with read_state_dict(tmp_path / "net.dcp") as state:
        assert torch.equal(state["up.weight"].torch(), values()["up.weight"])
    assert len(os.listdir(tmp_path / "net.dcp")) == 3  # nothing is left of the failure


def test_an_interruption_right_after_the_last_step_discards_nothing(
    run: Run, tmp_path: Path
) -> None:
    run(2, "saves", tmp_path, "fsdp", "net.dcp")
    for message in run(2, "dies", tmp_path, "net.dcp", 0, "renamed"):
        assert "no checkpoint was lost" in message
    with read_state_dict(tmp_path / "net.dcp") as state:
        assert all(torch.equal(state[key].torch(), value) for key, value in values(1).items())
    (files, _) = run(2, "saves", tmp_path, "fsdp", "net.dcp", 2)
    assert len(files) == 3


@pytest.mark.parametrize("there", [False, True])
def test_two_groups_of_processes_that_save_at_once(run: Run, tmp_path: Path, there: bool) -> None:
    if there:
        run(2, "saves", tmp_path, "fsdp", "net.dcp")
    run(4, "saves", tmp_path, "fsdp", "other.dcp")  # so that both have started
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(run, 2, "saves_slowly", tmp_path, "fsdp", "net.dcp", 1)
        time.sleep(0.2)
        run(4, "saves", tmp_path, "fsdp", "net.dcp", 2)
        slow.result()
    with read_state_dict(tmp_path / "net.dcp") as state:
        seed = int(state.metadata["step"])
        assert all(torch.equal(state[key].torch(), value) for key, value in values(seed).items())
    assert len(os.listdir(tmp_path / "net.dcp")) == (3 if seed == 1 else 5)


def test_a_process_that_dies_after_the_last_step_leaves_the_new_checkpoint(
    run: Run, tmp_path: Path
) -> None:
    run(2, "saves", tmp_path, "fsdp", "net.dcp")
    run(2, "dies", tmp_path, "net.dcp", 0, "committed")
    with read_state_dict(tmp_path / "net.dcp") as state:
        assert all(torch.equal(state[key].torch(), value) for key, value in values(1).items())


def test_only_the_rows_of_the_shard_are_read_from_a_checkpoint(run: Run, tmp_path: Path) -> None:
    run(2, "writes_rows", tmp_path)
    assert not (tmp_path / "digests.dcp").exists()
    whole = 2048 * 256 * 4
    for world in (4, 1):
        for read in run(world, "reads_rows", tmp_path):
            assert whole / world <= read < whole / world + (140 << 10)  # the ends of two zips


def test_if_a_process_ends_before_a_load_nothing_is_changed(run: Run, tmp_path: Path) -> None:
    message, _ = run(2, "dies_in_a_load", tmp_path)
    assert "another process has ended" in message
    assert "nothing was changed" in message


def test_a_replicated_tensor_is_written_in_any_format(run: Run, tmp_path: Path) -> None:
    run(2, "writes_what_every_process_has", tmp_path)
    for rank in range(2):
        with read_state_dict(tmp_path / f"whole{rank}.safetensors") as state:
            assert state["w"].torch().tolist() == [[1, 1]] * 4


def test_if_one_process_refuses_all_do(run: Run, tmp_path: Path) -> None:
    first, second = run(2, "refuses_together", tmp_path)
    assert "not equal" in first[0]
    assert all("process 1 refuses" in messages for messages in first[1:])
    assert "not equal" in second[0]
    assert "slots" in second[1]
    assert "nothing would be loaded" in second[2]
    assert "1 in a slot that cannot be changed" in second[3]


def test_a_format_that_one_process_writes_is_refused_with_the_remedy(
    run: Run, tmp_path: Path
) -> None:
    for messages in run(2, "one_file_is_refused", tmp_path):
        assert len(messages) == 3
        assert all("ends in .dcp" in each and "full_tensor()" in each for each in messages)


def test_each_impossible_load_is_refused_with_the_remedy(run: Run, tmp_path: Path) -> None:
    for sums, columns, plain, uneven, array in run(2, "refuses_impossible_loads", tmp_path):
        assert "summands" in sums
        assert "distributed checkpoint" in columns
        assert "its slot is not" in plain
        assert "full_tensor()" in plain
        assert "[2, 2] of [4, 2]" in uneven
        assert "redistribute()" in uneven
        assert "full_tensor()" in array


def test_the_error_of_a_cast_is_the_largest_of_all_processes(run: Run, tmp_path: Path) -> None:
    here, there = run(2, "measures", tmp_path)
    assert here == there == pytest.approx(0.001, rel=0.1)


@pytest.mark.parametrize("world", [1, 2])
def test_the_first_fsdp_loads_if_nothing_is_divided_else_names_the_remedy(
    run: Run, tmp_path: Path, world: int
) -> None:
    for messages in run(world, "flat", tmp_path):
        assert messages[0] == "loaded [7.0]"
        assert "use_orig_params=True" in messages[1]
        assert messages[2] == "loaded [7.0]" if world == 1 else "fully_shard()" in messages[2]
        assert "fully_shard()" in messages[3]
