"""A toy format keeps the contract, and each toy with one thing wrong is told its clause."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from caten_sd.files.format import Format
from caten_sd.testing import CONTRACT, ContractError, check_format, check_hostile, clauses
from tests.testing.broken_toys import BROKEN
from tests.testing.toys import TEXT, toy

ROOT = Path(__file__).parents[2]
LAZY = {each.name for each in CONTRACT if each.lazy}


def test_a_toy_of_forty_lines_that_returns_arrays_keeps_the_contract() -> None:
    assert len([line for line in TEXT.splitlines() if line.strip()]) <= 40
    with toy() as kind:
        check_format(kind, lazy=False)
        check_hostile(kind(), lazy=False, inputs=300)
        with pytest.raises(ContractError, match=r"'w0'.*numpy\.ndarray") as caught:
            check_format(kind)
    assert caught.value.clause in LAZY


@pytest.mark.parametrize("name", BROKEN)
def test_a_toy_with_one_thing_wrong_is_told_its_clause(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clause, edits = BROKEN[name]
    monkeypatch.setattr("caten_sd.testing.within_limits.SECONDS", 1.0)
    with toy(*edits) as kind, pytest.raises(ContractError) as caught:
        check_format(kind, lazy=clause in LAZY)
    assert caught.value.clause == clause, str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_clause_has_a_name_and_a_sentence_of_its_own() -> None:
    assert len({each.name for each in CONTRACT}) == len({each.sentence for each in CONTRACT})
    assert all(each.sentence and str(each).startswith(f"{each.name}: ") for each in CONTRACT)


def test_the_error_has_its_facts_and_is_an_assertion() -> None:
    error = ContractError("toy", "order", "The keys come back", "they do not")
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert isinstance(each, AssertionError)
        assert (each.format, each.clause) == ("toy", "order")
        assert (each.sentence, each.problem) == ("The keys come back", "they do not")
        assert all(text in str(each) for text in ("toy", "order", "come back", "do not"))


def test_a_format_that_is_not_written_is_tried_on_files_alone(tmp_path: Path) -> None:
    with toy() as kind:
        (each,) = (each for each in clauses(kind, lazy=False) if each.clause.name == "order")
        written = each.subject._replace(folder=tmp_path).write({})
        with toy(("@extend.write.register(Toy)\n", "")) as unwritten:
            unwritten.name = "unwritten toy"
            assert clauses(unwritten) == []
            names = [str(each) for each in clauses(unwritten, files=[written], lazy=False)]
            assert "unwritten toy: truncation" in names
            assert "unwritten toy: order" not in names


def test_a_sound_file_without_tensors_is_not_enough(tmp_path: Path) -> None:
    (tmp_path / "w.toy").write_bytes(b"TOY\n" + (8).to_bytes(8, "little") + b"[[], {}]")
    with toy() as kind, pytest.raises(ContractError, match=r"w\.toy.*has no tensor"):
        check_hostile(kind, files=[tmp_path / "w.toy"], lazy=False)


def test_a_format_of_one_leaf_has_fewer_clauses() -> None:
    class OneLeaf(Format):
        one_leaf = True

    assert clauses(OneLeaf) == []


ALONE = """
import sys
sys.modules.update(dict.fromkeys(["pytest", "hypothesis", "torch"]))
from caten_sd.testing import ContractError, check_format
from tests.testing.toys import toy
with toy() as kind:
    check_format(kind, lazy=False)
with toy(("in arrays:", "in sorted(arrays):")) as kind:
    try:
        check_format(kind, lazy=False)
    except ContractError as error:
        print(error.clause)
"""


def test_it_runs_without_pytest_hypothesis_and_torch() -> None:
    run = [sys.executable, "-W", "error", "-c", ALONE]
    done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout == "order\n", done.stderr
