"""Find layouts by name: those in ``layouts/``, and those that plug-ins announce."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from caten_sd.errors import LayoutError, LayoutWarning
from caten_sd.mapping.layout import Layout

PACKAGE = GROUP = "caten_sd.layouts"


@functools.cache
def built_in_layouts() -> dict[str, Layout]:
    """Return the layouts in ``layouts/`` by name."""
    package = importlib.import_module(PACKAGE)
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return _by_name(importlib.import_module(f"{PACKAGE}.{name}") for name in names)


@functools.cache
def announced_layouts() -> dict[str, Layout]:
    """Return the layouts of other packages, whose entry points name a module or a Layout.

    One that cannot be imported is warned about and leaves the others alone.
    """
    from importlib.metadata import entry_points

    holders = []
    for point in entry_points(group=GROUP):
        try:
            holders.append(point.load())
        except Exception as error:
            warnings.warn(
                LayoutWarning(
                    f"the layouts of {point.value}, which a package announces as {point.name!r}, "
                    f"cannot be imported ({type(error).__name__}: {error}); mend or remove it"
                ),
                stacklevel=2,
            )
    return _by_name(holders)


def find_layout(layout: str | Layout) -> Layout:
    """Return the layout of this name; LayoutError names the known ones if it is not one."""
    if isinstance(layout, Layout):
        return layout
    for known in (built_in_layouts, announced_layouts):
        if layout in known():
            return known()[layout]
    from difflib import get_close_matches

    names = sorted({**built_in_layouts(), **announced_layouts()})
    close = get_close_matches(str(layout), names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise LayoutError(
        f"no layout is called {layout!r}; {hint}known are {', '.join(names)}; "
        f"for one of your own, pass the Layout itself"
    )


def _by_name(holders: Iterable[Any]) -> dict[str, Layout]:
    found: dict[str, Layout] = {}
    for layout in (layout for holder in holders for layout in _layouts_in(holder)):
        if found.setdefault(layout.name, layout) is not layout:
            raise LayoutError(f"two layouts are called {layout.name!r}; rename one of them")
    return found


def _layouts_in(holder: Any) -> Iterator[Layout]:
    values = [holder] if isinstance(holder, Layout) else vars(holder).values()
    yield from (value for value in values if isinstance(value, Layout))
