from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from caten_sd.testing.damage import StructureError, damaged, files_of, mutated, replaced


def test_the_number_of_an_input_makes_it_again(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(bytes(range(200)))
    made = [damaged(tmp_path / "w", tmp_path / "x", n).read_bytes() for n in (*range(9), 3)]
    assert made[3] == made[-1]
    assert len(set(made)) == 9


def test_mutators_of_an_author_take_part_and_may_pass() -> None:
    def shouted(data: bytes, random: Random) -> bytes:
        if b"!" in data:
            raise StructureError
        return data + b"!"

    made = [mutated(b"abc", Random(n), [shouted] * 50) for n in range(20)]
    assert any(data == b"abc!" for data in made)
    assert not any(data.count(b"!") > 3 for data in made)


def test_files_of_a_folder_are_changed_one_at_a_time_or_lost(tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    (seed / "below").mkdir(parents=True)
    (seed / "a").write_bytes(b"a" * 50)
    (seed / "below" / "b").write_bytes(b"b" * 50)
    lost = 0
    for number in range(40):
        target = damaged(seed, tmp_path / "made", number)
        names = {str(file.relative_to(target)): file.read_bytes() for file in files_of(target)}
        lost += len(names) == 1
        assert len({"a": b"a" * 50, "below/b": b"b" * 50}.items() & names.items()) >= 1
    assert lost
    target = replaced(seed, tmp_path / "made", seed / "below" / "b", b"new")
    assert [file.read_bytes() for file in files_of(target)] == [b"a" * 50, b"new"]


@pytest.mark.parametrize("data", [b"", b"\0"])
def test_nothing_can_be_damaged_too(data: bytes) -> None:
    assert all(isinstance(mutated(data, Random(n)), bytes) for n in range(50))
