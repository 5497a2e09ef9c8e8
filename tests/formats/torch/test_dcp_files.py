from __future__ import annotations

from caten_sd.formats.torch.dcp_files import data_files, next_process, process_numbers

NAMES = [".metadata", "__0_0.distcp", "__3_1.distcp", "other.distcp", "config.json"]


def test_files_of_processes_are_known_by_their_names() -> None:
    assert data_files(NAMES) == ["__0_0.distcp", "__3_1.distcp", "other.distcp"]
    assert process_numbers(NAMES) == {0, 3}


def test_the_next_process_has_no_file() -> None:
    assert next_process(NAMES) == 4
    assert next_process([]) == 0
