"""Foreign packages are met, not imported: ``adapters/<package>.py`` holds all methods for one.

It is imported the first time a type whose MRO names that package is dispatched on.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from threading import get_ident
from typing import TYPE_CHECKING

from caten_sd.errors import DispatchError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class ForeignPackages:
    """The adapters in one package of ours, and those that other distributions announce.

    ``failures`` holds what kept an announced one from loading, by the name of its entry point.
    """

    def __init__(self, package: str, group: str) -> None:
        self.package, self.group = package, group
        self.failures: dict[str, str] = {}
        self._settled: set[str] = set()
        self._announced: list[EntryPoint] | None = None
        self._loading: set[tuple[int, str]] = set()

    def meet(self, types: tuple[type, ...]) -> None:
        """Import the adapter of every package that the MROs of these types name."""
        for name in dict.fromkeys(_names(types)):
            if name not in self._settled:
                self._import(name)
                # Only now: a second thread must wait for the import, not run ahead of it.
                self._settled.add(name)

    def _import(self, name: str) -> None:
        module = f"{self.package}.{name}"
        if not name.isidentifier() or find_spec(module) is None:
            return
        try:
            import_module(module)
        except Exception as error:
            raise DispatchError(
                f"{module}, the adapter for {name}, cannot be imported "
                f"({type(error).__name__}: {error}); install a version of {name} that it knows"
            ) from error

    def load_announced(self) -> None:
        """Load the entry points that were not loaded yet, each once."""
        for point in self._points():
            # A plug-in that dispatches while it is imported comes back here: it must not wait.
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

    def _points(self) -> list[EntryPoint]:
        if self._announced is None:
            from importlib.metadata import entry_points

            self._announced = list(entry_points(group=self.group))
        return self._announced


def _names(types: tuple[type, ...]) -> Iterator[str]:
    for cls in (cls for each in types for cls in each.__mro__):
        module = getattr(cls, "__module__", None)  # a C type keeps none in its __dict__
        if isinstance(module, str):
            yield module.partition(".")[0]
        adapter = cls.__dict__.get("__adapter__")
        if isinstance(adapter, str):
            yield adapter
