"""Import what `port` writes."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from caten_sd.lisp.lisp_file import read_lisp
from caten_sd.lisp.port.ported_module import port
from caten_sd.objects.extract import get_state_dict

_NUMBERS = itertools.count()


def module_of(source: str | Path) -> ModuleType:
    """Return the module that a file or a text of Lisp becomes, all of it translated."""
    ported = port(source)
    assert ported.problems == ()
    return executed(ported.text)


def executed(text: str) -> ModuleType:
    """Return a module of Python, which may not know Lisp."""
    assert "lisp" not in "\n".join(line for line in text.splitlines() if "import" in line)
    module = ModuleType(f"ported_{next(_NUMBERS)}")
    sys.modules[module.__name__] = module  # where attrs looks a class up
    try:
        exec(compile(text, "ported", "exec"), module.__dict__)
    finally:
        del sys.modules[module.__name__]
    return module


def shapes(model: Any) -> list[tuple[str, tuple[int, ...]]]:
    """Return the keys of a model, in order, with their shapes."""
    return [(key, tuple(leaf.shape)) for key, leaf in get_state_dict(model).items()]


def both(text: str, name: str, *arguments: Any, **options: Any) -> tuple[Any, Any]:
    """Return a model read directly, and one of the Python that is written, with its weights."""
    direct = read_lisp(text).model(name)(*arguments, **options)
    ported = getattr(module_of(text), name)(*arguments, **options)
    assert shapes(direct) == shapes(ported)
    for leaf, other in zip(
        get_state_dict(direct).values(), get_state_dict(ported).values(), strict=True
    ):
        other.data.copy_(leaf.data)
    return direct, ported
