"""Each cause has cases; its fix, pasted as it is, gives the true model, or there is no fix."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import caten_sd
from caten_sd.cli import main
from caten_sd.loading import causes
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.objects.extract import get_state_dict
from tests.loading.cause_models import NORMS, Row, State, below, of, under
from tests.loading.causes_with_fix import FIXED, S1
from tests.loading.causes_without_fix import FITTING, UNFIXED, WITHOUT_CAUSE

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def each(rows: list[Row]) -> Callable[[Any], Any]:
    return pytest.mark.parametrize("row", rows, ids=[row.name for row in rows])


def finder(fresh: Any, file: State, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of the finder that found the cause, or ""."""
    seen: list[str] = []

    def watched(find: Any) -> Any:
        return lambda case: (found := find(case)) and (seen.append(find.__name__) or found)

    monkeypatch.setattr(causes, "_FINDERS", tuple(map(watched, causes._FINDERS)))
    plan_load(fresh, file)
    monkeypatch.undo()
    return "".join(seen)


@contextlib.contextmanager
def no_slot_is_left() -> Iterator[None]:
    """Let a load warn about keys that the model does not have, and about nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", caten_sd.LoadWarning)
        warnings.filterwarnings("ignore", ".*in the file, not in the model", caten_sd.LoadWarning)
        yield


def paste(fix: str, model: Any, state_dict: Any) -> None:
    names = {name: getattr(caten_sd, name) for name in caten_sd.__all__}
    with no_slot_is_left():
        exec(fix, {**names, "model": model, "state_dict": state_dict})


def check_equal(mine: Any, true: Any) -> None:
    """Compare all values, or what the layers compute where one side computes its weights."""
    ours, theirs = get_state_dict(mine), get_state_dict(true)
    if ours.keys() != theirs.keys():
        ours, theirs = outputs(mine.eval()), outputs(true)
    for key in ours:
        np.testing.assert_allclose(values(ours[key]), values(theirs[key]), 1e-4, 1e-6, err_msg=key)


def values(leaf: Any) -> Any:
    return leaf.detach().numpy() if isinstance(leaf, torch.Tensor) else np.asarray(leaf)


def outputs(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return what each layer with a weight computes, in order, and the embeddings' weights."""
    torch.manual_seed(3)
    found = {}
    for at, layer in enumerate(model.modules()):
        if isinstance(layer, nn.Embedding):
            found[str(at)] = layer.weight
        elif hasattr(layer, "bias"):
            planes = (1, 4, 5, 5) if hasattr(layer, "stride") else (2, layer.weight.shape[-1])
            found[str(at)] = layer(torch.randn(planes))
    return found


@each(FIXED)
def test_the_fix_gives_the_true_model(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    true, fresh, file = row.build()
    assert finder(fresh, file, monkeypatch) == row.finder
    plan = plan_load(fresh, file)
    assert plan.cause
    paste(plan.fix, fresh, file)
    check_equal(fresh, true)


@each(UNFIXED)
def test_what_names_and_shapes_cannot_show_gets_no_fix(
    row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, fresh, file = row.build()
    assert finder(fresh, file, monkeypatch) == row.finder
    plan = plan_load(fresh, file)
    assert plan.cause
    assert plan.fix == ""


@each(WITHOUT_CAUSE)
def test_where_the_groups_say_all_there_is_no_cause(row: Row) -> None:
    _, fresh, file = row.build()
    plan = plan_load(fresh, file)
    assert not plan.fits
    assert (plan.cause, plan.fix) == ("", "")


@each(FITTING)
def test_what_fits_needs_no_fix(row: Row) -> None:
    true, fresh, file = row.build()
    load_state_dict(fresh, file, strict=True)
    check_equal(fresh, true)


def test_every_finder_has_a_case() -> None:
    assert {find.__name__ for find in causes._FINDERS} == {row.finder for row in FIXED + UNFIXED}


def test_raw_elements_are_named_with_what_reads_them() -> None:
    row = next(row for row in UNFIXED if row.finder == "raw_elements")
    _, fresh, file = row.build()
    plan = plan_load(fresh, file)
    assert "0.weight" in plan.cause
    assert "dtype='bf16'" in plan.cause


def shell_words(line: str) -> list[str]:
    """Return the words that a shell makes of a line that begins with python."""
    stub = "python() { printf '%s\\0' \"$@\"; }\n"
    run = subprocess.run(["bash", "-c", stub + line], capture_output=True, check=True, text=True)
    return run.stdout.split("\0")[:-1]


def fresh_model(at: int) -> Any:
    """Return the fresh model of a row, for ``--against``."""
    return FIXED[at].build().fresh


def shell_line(at: int, folder: Path) -> str:
    """Return the fix that ``check`` prints for the file of a row."""
    path = folder / "it's a file.safetensors"
    leaves = {key: leaf.contiguous().clone() for key, leaf in FIXED[at].build().file.items()}
    save_file(leaves, path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["check", str(path), "--against", f"{__name__}:fresh_model({at})"]) == 1
    lines = [line for line in printed.getvalue().split("\n") if line.startswith("fix: ")]
    return lines[0].removeprefix("fix: ")


@pytest.mark.parametrize("at", range(len(FIXED)), ids=[row.name for row in FIXED])
def test_the_line_for_the_shell_gives_the_true_model(at: int, tmp_path: Path) -> None:
    flag, program = shell_words(shell_line(at, tmp_path))
    assert flag == "-c"
    names: dict[str, Any] = {}
    with no_slot_is_left(), contextlib.redirect_stdout(io.StringIO()):
        exec(program, names)
    check_equal(names["model"], FIXED[at].build().true)


def test_the_line_runs_in_a_shell_of_its_own(tmp_path: Path) -> None:
    at = next(at for at, row in enumerate(FIXED) if row.words == "params and batch_stats")
    line = shell_line(at, tmp_path).replace("python ", f"{sys.executable} ", 1)
    run = subprocess.run(["bash", "-c", line], capture_output=True, check=True, text=True)
    assert run.stdout.startswith("7 of 7 slots of ModuleDict fit")


@pytest.mark.slow
def test_the_text_does_not_depend_on_the_hash_seed() -> None:
    program = (
        "import warnings; warnings.simplefilter('ignore'); from caten_sd import plan_load; "
        "from tests.loading.causes_with_fix import FIXED; "
        "from tests.loading.causes_without_fix import UNFIXED; "
        "[print(plan_load(b.fresh, b.file)) for row in FIXED + UNFIXED for b in [row.build()]]"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1")
    }  # fmt: skip
    assert len(texts) == 1
    assert texts.pop().count(b"likely cause: ") == len(FIXED + UNFIXED)


def test_a_key_that_is_code_does_not_run_when_the_fix_is_pasted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    quote = 'x": ""});print("CODE OF THE CHECKPOINT RAN");({".'
    for key in (quote, quote.replace("{", ""), S1):
        fresh = nn.Linear(2, 2)
        file = {f"{key}weight": torch.ones(2, 2), f"{key}bias": torch.ones(2)}
        fix = plan_load(fresh, file).fix
        assert bool(fix) == ("{" not in key)
        paste(fix or "pass", fresh, file)
        assert bool((fresh.weight == 1).all()) == bool(fix)
    assert "RAN" not in capsys.readouterr().out


def test_norms_under_a_prefix_are_not_renamed_to_weights() -> None:
    for norm in NORMS.values():
        _, fresh, file = of(under(lambda m: m, lambda: nn.Linear(4, 4)),
                            under(norm, lambda: nn.Linear(4, 4)), below("model."))()  # fmt: skip
        fix = plan_load(fresh, file).fix
        assert "original" not in fix
        assert "weight_" not in fix.replace("weight_norm", "")
