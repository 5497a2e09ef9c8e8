"""Methods of generic functions, each looked up once in a load, which may have many slots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from caten_sd.dispatch.generic import GenericFunction
from caten_sd.errors import NoApplicableMethodError
from caten_sd.state.leaf import Spec, spec


class Methods(dict[Any, Callable[..., Any]]):
    """The method of a generic function for each class, or pair of classes, looked up once."""

    # A method may be added between two loads, so methods are remembered for one load only.

    def __init__(self, generic: GenericFunction[..., Any]) -> None:
        super().__init__()
        self.generic = generic

    def __missing__(self, classes: Any) -> Callable[..., Any]:
        given = classes if isinstance(classes, tuple) else (classes,)
        self[classes] = method = self.generic.dispatch(*given)
        return method


class Specs:
    """The specs of leaves; None for what has none."""

    def __init__(self) -> None:
        self._methods = Methods(spec)

    def of(self, leaf: Any) -> Spec | None:
        """Return the spec of a leaf, or None for a value that is not one."""
        try:
            known: Spec = self._methods[type(leaf)](leaf)
        except NoApplicableMethodError:
            return None
        return known
