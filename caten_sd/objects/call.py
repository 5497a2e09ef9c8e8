"""call: a model's forward pass, as a generic function whose methods live outside the classes."""

from __future__ import annotations

from typing import Any

from caten_sd.dispatch.generic import generic


@generic
def call(model: Any, /, *inputs: Any, **options: Any) -> Any:
    """Run a model on its inputs; dispatches on the model alone, the rest passes through.

    After Caten's ``call`` and ``defcall``: a forward pass may be given to a class without editing
    it, and ``model(x)`` of a `caten_sd.nn.Module` is sugar for ``call(model, x)``.

    >>> class Double: ...
    >>> @call.register(Double)
    ... def double(model, x):
    ...     return 2 * x
    >>> call(Double(), 21)
    42
    """
    raise NotImplementedError
