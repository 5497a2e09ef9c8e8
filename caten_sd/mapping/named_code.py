"""Code that the user names: ``package.module:name`` or ``folder/file.py:name``.

Only words of a command line or of a caller's program come here, never those of a checkpoint.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from caten_sd.errors import CatenError


def names_code(text: str) -> bool:
    """Return whether a text names code: a Python file, or a module and a name in it.

    >>> [names_code(text) for text in ("mine.py", "a.b:LAYOUT", "hf-gpt2", "a::b", "hf://a/b")]
    [True, True, False, False, False]
    """
    place, name = split_name(text)
    is_module = all(map(str.isidentifier, place.split(".")))
    return place.endswith(".py") or (is_module and name[:1] not in ("", ":", "/"))


def split_name(text: str) -> tuple[str, str]:
    """Return the file or module, and the name in it; the name is "" if there is none.

    >>> split_name("C:/x/mine.py:LAYOUT"), split_name("mine.py"), split_name("a.b:f(':')")
    (('C:/x/mine.py', 'LAYOUT'), ('mine.py', ''), ('a.b', "f(':')"))
    """
    file, sign, name = text.partition(".py:")
    if (sign or text.endswith(".py")) and "(" not in file:
        return (f"{file}.py", name) if sign else (text, "")
    place, _, name = text.partition(":")
    return place, name


def module_of(place: str) -> ModuleType:
    """Return the module that is called so, or that a Python file is; CatenError if there is none.

    The current folder is searched last, so that no file in it takes the name of a package.
    """
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
    if place.endswith(".py"):
        return _from_file(place)
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name != place and not place.startswith(f"{error.name}."):
            raise
        raise CatenError(
            f"no module is called {place!r}, neither among the packages nor in {here}; name one "
            f"that can be imported, or a file, as in folder/mine.py"
        ) from error


def _from_file(place: str) -> ModuleType:
    path = Path(place).expanduser().resolve()
    try:
        found = path.stat()
    except OSError as error:
        here = os.getcwd()
        raise CatenError(f"there is no file {place!r} in {here}; correct its path") from error
    return _executed(path, found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=64)
def _executed(path: Path, changed: int, size: int) -> ModuleType:
    """Return the module of a file, which runs again only when the file has changed."""
    name = f"{path.stem} at {path}"  # no import finds it, so it takes no package's name
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there for the module of a class
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
