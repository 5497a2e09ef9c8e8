"""Adapters for foreign packages: ``adapters/<package>.py`` holds all methods for one package.

An adapter is imported when a generic function first gets an object of a class from its package. A
distribution announces one by an entry point that is named after the package.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from threading import get_ident
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING

from caten_sd.dispatch.installing import install_command
from caten_sd.errors import DispatchError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

# Nobody announces an adapter for these, and looking for one takes time.
_NEVER_ANNOUNCED = frozenset({"__main__", __name__.partition(".")[0], *sys.stdlib_module_names})


class ForeignPackages:
    """The adapters in ``package``, and those of other distributions, found by entry points.

    ``failures`` gives the error of each entry point that could not be loaded.
    """

    def __init__(self, package: str, group: str) -> None:
        self.package, self.group = package, group
        self.failures: dict[str, str] = {}
        self._finished: set[str] = set()
        self._entry_points: list[EntryPoint] | None = None
        self._loading: set[tuple[int, str]] = set()

    def import_named(self, name: str) -> None:
        """Import the adapter of this name, if there is one."""
        if name not in self._finished:
            self._import(name)
            # Only after the import: until then a second thread must wait for it.
            self._finished.add(name)

    def import_adapters(self, types: tuple[type, ...]) -> None:
        """Import the adapter for every package that a class in the MROs of these types is from."""
        for name in dict.fromkeys(_packages(types)):
            self.import_named(name)

    def _import(self, name: str) -> None:
        module = f"{self.package}.{name}"
        if not name.isidentifier():
            return
        if find_spec(module) is None:
            self._load_announced(name)
            return
        try:
            import_module(module)
        except Exception as error:
            command = install_command(name)
            if not isinstance(error, ModuleNotFoundError):
                newer = command.replace("install", "install -U")
                command = f"install a version of {name} that it supports, {newer}"
            raise DispatchError(
                f"{module}, the adapter for {name}, cannot be imported "
                f"({type(error).__name__}: {error}); {command}"
            ) from error

    def _load_announced(self, name: str) -> None:
        """Load the entry points that are named after a package."""
        if name in _NEVER_ANNOUNCED:
            return
        self._load(point for point in self._points() if point.name == name)
        if name in self.failures:
            raise DispatchError(
                f"the adapter for {name} that a package announces cannot be imported "
                f"({self.failures[name]}); mend or remove it"
            )

    def load_entry_points(self) -> None:
        """Load every entry point that was not loaded yet."""
        self._load(self._points())

    def _load(self, points: Iterable[EntryPoint]) -> None:
        for point in points:
            # A plug-in that dispatches during its own import gets here again and must not wait.
            key = (get_ident(), point.value)
            if point.value in self._finished or key in self._loading:
                continue
            self._loading.add(key)
            try:
                point.load()
            except Exception as error:
                # A broken plug-in must not hide the error that the caller needs.
                self.failures[point.name] = f"{type(error).__name__}: {error}"
            finally:
                self._loading.discard(key)
            self._finished.add(point.value)

    def _points(self) -> list[EntryPoint]:
        if self._entry_points is None:
            from importlib.metadata import entry_points

            self._entry_points = list(entry_points(group=self.group))
        return self._entry_points


def packages_used_by(cls: type) -> frozenset[str]:
    """Return the packages of the modules, classes and functions that a class's module has by name.

    >>> "abc" in packages_used_by(ForeignPackages)
    False
    >>> "importlib" in packages_used_by(ForeignPackages)
    True
    """
    found = vars(module) if (module := sys.modules.get(cls.__module__)) else {}
    values = [each for each in found.values() if isinstance(each, (ModuleType, type, FunctionType))]
    names = (v.__name__ if isinstance(v, ModuleType) else v.__module__ for v in values)
    return frozenset(name.partition(".")[0] for name in names if isinstance(name, str))


def _packages(types: tuple[type, ...]) -> Iterator[str]:
    """Yield the package of every class in these MROs, or the one its ``__adapter__`` names."""
    for cls in (cls for each in types for cls in each.__mro__):
        module = getattr(cls, "__module__", None)  # a C type has none in its __dict__
        if isinstance(module, str):
            yield module.partition(".")[0]
        adapter = cls.__dict__.get("__adapter__")
        if isinstance(adapter, str):
            yield adapter
