from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "resume_training.py"


@pytest.fixture
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("resume_training_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("suffix", ["", ".npz", ".pt"])
def test_a_resumed_training_ends_like_one_without_interruption(
    suffix: str, example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert example.main([str(tmp_path / f"run{suffix}")] if suffix else []) == 0
    verdict, losses, model = capsys.readouterr().out.splitlines()
    assert verdict == "21 of 21 slots of TrainingState fit, and the file has nothing else"
    one, other = re.findall(r"\d\.\d+", losses)
    assert one == other
    assert model == "the model alone: 0.weight, 0.bias, 2.weight, 2.bias"


def test_an_unknown_format_is_exit_code_2(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert example.main([str(tmp_path / "run.xyz")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
