"""The command that installs a framework, where something needs it and it is not there."""

from __future__ import annotations

from importlib.util import find_spec

_ROOT = __name__.partition(".")[0]
ALWAYS_THERE = frozenset({"numpy", "torch"})  # what every installation has, by no extra


def install_command(package: str) -> str:
    """Return the command that installs a package by the extra of its name.

    >>> install_command("jax"), install_command("torch")
    ("pip install 'caten-sd[jax]'", 'pip install torch')
    """
    if package in ALWAYS_THERE:
        return f"pip install {package}"
    return f"pip install '{_ROOT.replace('_', '-')}[{package}]'"


def install_hint(error: BaseException, otherwise: str) -> str:
    """Return what installs the framework that an import did not find, or the other remedy.

    >>> install_hint(ModuleNotFoundError(name="mlx.nn"), "mend it")
    "pip install 'caten-sd[mlx]'"
    >>> install_hint(ModuleNotFoundError(name="mine"), "mend it")
    'mend it'
    """
    missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    package = (missing or "").partition(".")[0]
    if not package.isidentifier() or find_spec(f"{_ROOT}.adapters.{package}") is None:
        return otherwise
    return install_command(package)
