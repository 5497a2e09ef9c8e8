from __future__ import annotations

import importlib
import runpy
import sys

import pytest

import caten_sd


def test_the_package_runs_as_a_program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["caten-sd", "--version"])
    monkeypatch.delitem(sys.modules, "caten_sd.__main__", raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("caten_sd", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"caten-sd {caten_sd.__version__}\n"


def test_the_script_has_the_same_entry() -> None:
    module = importlib.import_module("caten_sd.__main__")
    assert module.main is importlib.import_module("caten_sd.cli").main
