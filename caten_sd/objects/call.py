"""call: a model's forward pass, a generic function whose methods are outside the classes."""

from __future__ import annotations

from typing import Any

from caten_sd.dispatch.generic import generic


@generic
def call(model: Any, /, *inputs: Any, **options: Any) -> Any:
    """Run a model on its inputs; only the model chooses the method.

    After Caten's ``call`` and ``defcall``: a class gets a forward pass without being edited, and
    ``model(x)`` of a `caten_sd.nn.Module` is the same as ``call(model, x)``.

    >>> class Double: ...
    >>> @call.register(Double)
    ... def double(model, x):
    ...     return 2 * x
    >>> call(Double(), 21)
    42
    """
    raise NotImplementedError
