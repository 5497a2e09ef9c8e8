"""What says how to install a framework that is asked for and not there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from caten_sd.dispatch.foreign import ForeignPackages
from caten_sd.dispatch.installing import ALWAYS_THERE, install_command, install_hint
from caten_sd.errors import DispatchError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ADAPTERS = {
    path.stem for path in (ROOT / "caten_sd" / "adapters").iterdir() if path.name[0] not in "_."
}
WORLDS = sorted(ADAPTERS - ALWAYS_THERE)


def test_each_adapter_has_an_extra_of_its_name_or_is_of_every_installation() -> None:
    extras = PROJECT["optional-dependencies"].keys() - {"test"}
    assert set(WORLDS) <= extras
    assert {name for name in ADAPTERS if name in " ".join(PROJECT["dependencies"])} == ALWAYS_THERE


@pytest.mark.parametrize("name", WORLDS)
def test_a_framework_that_is_not_there_comes_with_its_command(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = f"caten_sd.adapters.{name}"
    for module in [m for m in sys.modules if m == adapter or m.startswith(f"{adapter}.")]:
        monkeypatch.delitem(sys.modules, module)
    for module in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    foreign = ForeignPackages("caten_sd.adapters", "nobody.announces")
    with pytest.raises(DispatchError, match=rf"; pip install 'caten-sd\[{name}\]'$"):
        foreign.import_named(name)


def test_one_that_is_too_old_is_to_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old_worlds").mkdir()
    (tmp_path / "old_worlds" / "__init__.py").write_text("")
    (tmp_path / "old_worlds" / "jax.py").write_text("raise AttributeError('no such name')")
    monkeypatch.syspath_prepend(tmp_path)
    foreign = ForeignPackages("old_worlds", "nobody.announces")
    with pytest.raises(DispatchError, match=r"supports, pip install -U 'caten-sd\[jax\]'$"):
        foreign.import_named("jax")


def test_other_errors_keep_their_own_remedy() -> None:
    errors = [
        ModuleNotFoundError("no", name="mine"),
        ModuleNotFoundError("no", name="caten_sd.mlx"),
        ModuleNotFoundError("no", name="../mlx"),
        ModuleNotFoundError("no"),
        ImportError("no", name="mlx"),
        ValueError("mlx"),
    ]
    assert [install_hint(error, "mend it") for error in errors] == ["mend it"] * 6
    assert install_hint(ModuleNotFoundError(name="mlx.core"), "") == install_command("mlx")
