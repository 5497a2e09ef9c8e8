"""The modules that hold layouts: the files of ``layouts/``, and what other packages announce.

A module of ``layouts/`` is imported when one of its layouts is asked for: its text says which names
it may have. Nothing here imports the class of layouts, which looks for its base by name.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
import re
import warnings
from collections.abc import Collection, Iterable, Iterator
from importlib.abc import InspectLoader
from typing import Any, TypeVar

from caten_sd.errors import LayoutError, LayoutWarning
from caten_sd.errors.caller import caller_level

PACKAGE = GROUP = "caten_sd.layouts"

_QUOTED = re.compile(r'"([^"\n]*)"')

T = TypeVar("T")


def built_in(kind: type[T]) -> dict[str, T]:
    """Return the layouts in ``layouts/`` by name; each of its modules is imported."""
    return by_name(_values(importlib.import_module(name), kind) for name in _modules())


def built_in_called(kind: type[T], name: str) -> T | None:
    """Return the layout in ``layouts/`` of a name, or None; only its module is imported."""
    for module in _modules():
        if not _may_name(module, name):
            continue
        for value in _values(importlib.import_module(module), kind):
            if _name(value) == name:
                return value
    return None


def built_in_of(kind: type[T], names: Collection[str]) -> dict[str, T]:
    """Return the layouts in ``layouts/`` whose modules have one of these plain names as a text.

    Modules that name one of those layouts come too, since a layout has the names of its base.
    """
    found: dict[str, T] = {}
    waiting = [each for each in _modules() if _has_one(each, names)]
    left = [each for each in _modules() if each not in waiting]
    while waiting:
        new = by_name(_values(importlib.import_module(module), kind) for module in waiting)
        found |= new
        waiting = [module for module in left if any(_may_name(module, name) for name in new)]
        left = [module for module in left if module not in waiting]
    return found


def plain_name(name: str) -> str:
    """Return a name as it is compared: signs and case differ between a class and a model type.

    >>> plain_name("GPT-NeoX"), plain_name("gpt_neox")
    ('gptneox', 'gptneox')
    """
    return name.replace("-", "").replace("_", "").casefold()


def called(kind: type[T], name: str) -> T | None:
    """Return the layout of a name, built in or of another package, or None."""
    found = built_in_called(kind, name)
    return announced(kind).get(name) if found is None else found


def announced(kind: type[T]) -> dict[str, T]:
    """Return the layouts of other packages, whose entry points name a module or a layout.

    One that cannot be had is warned about, once, and leaves the others alone.
    """
    hashable: Any = kind
    return _announced(hashable)


@functools.cache
def _announced(kind: Any) -> dict[str, Any]:
    from importlib.metadata import entry_points

    found: dict[str, Any] = {}
    for point in entry_points(group=GROUP):
        try:
            values = list(_values(point.load(), kind))
        except (Exception, SystemExit) as error:
            _warn(
                f"the layouts of {point.value}, which a package announces as {point.name!r}, "
                f"cannot be imported ({type(error).__name__}: {error}); mend or remove it"
            )
            continue
        for value in values:
            name = _name(value)
            is_taken = built_in_called(kind, name) is not None
            if is_taken or found.setdefault(name, value) is not value:
                other = "built in" if is_taken else "announced by another package"
                _warn(
                    f"the layout {name!r} of {point.value}, which a package announces as "
                    f"{point.name!r}, is left out, since one of that name is {other}; rename it"
                )
    return found


def by_name(values: Iterable[Iterable[T]]) -> dict[str, T]:
    """Return the values by their names; LayoutError if two have one name."""
    found: dict[str, T] = {}
    for value in (value for each in values for value in each):
        if found.setdefault(_name(value), value) is not value:
            raise LayoutError(f"two layouts are called {_name(value)!r}; rename one of them")
    return found


def _modules() -> list[str]:
    package = importlib.import_module(PACKAGE)
    return sorted(f"{PACKAGE}.{each.name}" for each in pkgutil.iter_modules(package.__path__))


def _may_name(module: str, name: str) -> bool:
    """Return whether the text of a module has a name, or cannot be had."""
    text = _text(module)
    return text is None or f'"{name}"' in text


@functools.cache
def _text(module: str) -> str | None:
    spec = importlib.util.find_spec(module)
    loader = spec.loader if spec else None
    return loader.get_source(module) if isinstance(loader, InspectLoader) else None


def _has_one(module: str, names: Collection[str]) -> bool:
    """Return whether a module has one of these plain names as a text, or its text is not there."""
    found = _plain_names(module)
    return found is None or not found.isdisjoint(names)


@functools.cache
def _plain_names(module: str) -> frozenset[str] | None:
    """Return the texts between quotes, their words, and what these have behind a hyphen."""
    text = _text(module)
    if text is None:
        return None
    texts = _QUOTED.findall(text)
    words = {word for each in texts for word in (each, *each.split())}
    ends = {word.partition("-")[2] for word in words}
    return frozenset(map(plain_name, words | ends))


def _values(holder: Any, kind: type[T]) -> Iterator[T]:
    values = [holder] if isinstance(holder, kind) else list(vars(holder).values())
    seen: set[int] = set()
    for value in values:
        if isinstance(value, kind) and id(value) not in seen:
            seen.add(id(value))
            yield value


def _name(value: Any) -> str:
    return str(value.name)


def _warn(text: str) -> None:
    warnings.warn(LayoutWarning(text), stacklevel=caller_level())
