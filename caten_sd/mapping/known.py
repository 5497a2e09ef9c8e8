"""Find layouts by name: those in ``layouts/``, and those that plug-ins announce."""

from __future__ import annotations

import functools
from collections.abc import Collection
from pathlib import Path

from caten_sd.dispatch.installing import install_hint
from caten_sd.errors import CatenError, LayoutError
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_modules import announced, built_in, built_in_of, called
from caten_sd.mapping.named_code import module_of, names_code, split_name
from caten_sd.state.options import checked_options
from caten_sd.wording import first_few

_MOST_NAMES, _EXAMPLES = 12, 3  # in a sentence: all names, or some of more


@functools.cache
def built_in_layouts() -> dict[str, Layout]:
    """Return the layouts in ``layouts/`` by name."""
    return built_in(Layout)


def layouts_of(names: Collection[str]) -> dict[str, Layout]:
    """Return the layouts in ``layouts/`` that may be of an architecture with one of these names.

    The names are plain, as ``plain_name`` gives them. Modules without one are not imported.
    """
    return built_in_of(Layout, names)


def layout_called(name: str) -> dict[str, Layout]:
    """Return the layout of a name by that name, or nothing."""
    found = called(Layout, name)
    return {} if found is None else {found.name: found}


def announced_layouts() -> dict[str, Layout]:
    """Return the layouts of other packages, whose entry points name a module or a Layout.

    One that cannot be had is warned about and leaves the others alone.
    """
    return announced(Layout)


@checked_options()
def find_layout(layout: str | Layout) -> Layout:
    """Return the layout itself, of this name, of a TOML file, or in code, as ``mine.py:LAYOUT``.

    LayoutError says what is known if there is none. A word of a file must go to ``known_layout``,
    since this function runs code.
    """
    if isinstance(layout, Layout):
        return _with_own_name(layout)
    if str(layout).endswith(".toml"):
        return _with_own_name(_from_toml(Path(layout).expanduser()))
    is_code = isinstance(layout, str) and names_code(layout)
    return _with_own_name(_layout_in(layout)) if is_code else known_layout(layout)


def _with_own_name(layout: Layout) -> Layout:
    """Return the layout; LayoutError if another one has its name, which files are stamped with."""
    known = called(Layout, layout.name)
    if known is None or known is layout or is_same(known, layout):
        return layout
    raise LayoutError(
        f"your layout {layout.name!r} has the name of one that is known here, and other rows, so "
        f"files in it would be taken for files in that; give it a name of its own"
    )


def is_same(one: Layout, other: Layout) -> bool:
    """Return whether two layouts have the same rows and so do the same to a file."""
    names = ("rows", "prefixes", "separator", "counts", "aliases")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def known_layout(layout: str) -> Layout:
    """Return the layout of this name; LayoutError names the known ones if it is not one."""
    found = called(Layout, layout)
    if found is not None:
        return found
    from difflib import get_close_matches

    names = {**built_in_layouts(), **announced_layouts()}
    close = get_close_matches(str(layout), names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise LayoutError(
        f"no layout is called {layout!r}; {hint}known are {names_text(names)}; "
        f"for one of your own, pass the Layout itself or name its file, as in mine.toml or "
        f"mine.py:LAYOUT"
    )


def names_text(names: Collection[str]) -> str:
    """Return the names of layouts, of which a sentence has only so many.

    >>> names_text(["hf-b", "hf-a"])
    'hf-a, hf-b'
    """
    if len(names) <= _MOST_NAMES:
        return ", ".join(sorted(names))
    return f"{first_few(sorted(names), _EXAMPLES)}, which caten-sd layouts lists"


def _from_toml(path: Path) -> Layout:
    """Return the layout of a file, the same one until the file changes."""
    try:
        found = path.stat()
    except OSError:
        return Layout.from_toml(path)  # which says what is wrong
    return _read_at(path.absolute(), found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=64)
def _read_at(path: Path, changed: int, size: int) -> Layout:
    return Layout.from_toml(path)


def _layout_in(text: str) -> Layout:
    """Return the layout that ``module:LAYOUT``, ``mine.py:LAYOUT`` or ``mine.py`` names."""
    place, name = split_name(text)
    try:
        module = module_of(place)
    except CatenError as error:
        raise LayoutError(f"the layout {text!r} cannot be had: {error}") from error
    except (Exception, SystemExit) as error:
        raise LayoutError(
            f"the layout {text!r} cannot be had, since {place} fails ({type(error).__name__}: "
            f"{error}); {install_hint(error, 'mend it')}"
        ) from error
    layouts = {word: value for word, value in vars(module).items() if isinstance(value, Layout)}
    if not name and len(layouts) == 1:
        return next(iter(layouts.values()))
    if name in layouts:
        return layouts[name]
    problem = f"{place} has no Layout {name!r}" if name else f"{place} has {len(layouts)} layouts"
    held = first_few([f"{place}:{word}" for word in layouts], 6)
    raise LayoutError(f"{problem}; {f'name one of {held}' if held else 'make one in it'}")
