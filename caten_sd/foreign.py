"""Foreign packages are met, not imported: ``adapters/<package>.py`` holds all methods for one.

It is imported the first time a type whose MRO names that package is dispatched on.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from threading import get_ident
from typing import TYPE_CHECKING

from caten_sd.errors import DispatchError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class ForeignPackages:
    """The adapters in one folder, and those that other distributions announce."""

    def __init__(self, package: str, group: str) -> None:
        self.package, self.group = package, group
        self.failures: dict[str, str] = {}
        self._settled: set[str] = set()
        self._announced: list[EntryPoint] | None = None
        self._loading: set[tuple[int, str]] = set()

    def meet(self, types: tuple[type, ...]) -> None:
        """Import the adapter of every package that the MROs of these types name."""
        for name in dict.fromkeys(n for cls in types for each in cls.__mro__ for n in _names(each)):
            if name not in self._settled:
                self._import(name)
                # Only now: a second thread must wait for the import, not run ahead of it.
                self._settled.add(name)

    def _import(self, name: str) -> None:
        module = f"{self.package}.{name}"
        if not name.isidentifier() or not self._has(module):
            return
        try:
            import_module(module)
        except ImportError as error:
            raise DispatchError(
                f"{module}, the adapter for {name}, cannot be imported ({error}); "
                f"install a version of {name} that it knows"
            ) from error

    def _has(self, module: str) -> bool:
        try:
            return find_spec(module) is not None
        except ModuleNotFoundError:
            return False

    def load_announced(self) -> bool:
        """Load the entry points not loaded yet; whether there were any."""
        found = False
        for point in self._points():
            key = (get_ident(), point.value)
            if point.value in self._settled or key in self._loading:
                continue
            self._loading.add(key)
            try:
                point.load()
            except Exception as error:
                # A broken plug-in must not hide the answer to what was asked.
                self.failures[point.name] = f"{type(error).__name__}: {error}"
            finally:
                self._loading.discard(key)
            self._settled.add(point.value)
            found = True
        return found

    def _points(self) -> list[EntryPoint]:
        if self._announced is None:
            from importlib.metadata import entry_points

            self._announced = list(entry_points(group=self.group))
        return self._announced


def _names(cls: type) -> list[str]:
    module = getattr(cls, "__module__", None)  # a C type keeps none in its __dict__
    names = [module.partition(".")[0]] if isinstance(module, str) else []
    adapter = cls.__dict__.get("__adapter__")
    return [*names, adapter] if isinstance(adapter, str) else names
