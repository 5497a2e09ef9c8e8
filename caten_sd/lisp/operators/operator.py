"""An operator: a function of Caten's, with the arguments that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from torch import Tensor

from caten_sd.errors import CatenError, ModelError
from caten_sd.lisp.syntax.datum import Symbol


@attrs.frozen
class Operator:
    """A function on tensors: its name in Lisp, the function here, and its arguments as in Lisp.

    >>> import torch
    >>> Operator("!MATMUL", torch.matmul, "a b").apply([torch.ones(1, 2), torch.ones(2, 1)])
    tensor([[2.]])
    """

    name: str
    function: Callable[..., Any]
    parameters: str  # a lambda list; the function takes those after &key by name

    def apply(self, arguments: Sequence[Any]) -> Any:
        """Call the function; ModelError, which shows the lambda list, if it cannot be called."""
        positional, options = self._bound(arguments)
        try:
            return self.function(*positional, **options)
        except CatenError:
            raise
        except (IndexError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
            raise ModelError(
                f"torch refuses {_shown(arguments)} ({_first_line(error)}); check their shapes and "
                f"dtypes"
            ) from error

    @property
    def names(self) -> tuple[list[str], list[str], bool, list[str]]:
        """The names of what is required, of what is optional and of the options; a rest or not."""
        found: dict[str, list[str]] = {"": [], "&optional": [], "&rest": [], "&key": []}
        kind = ""
        for word in self.parameters.split():
            if word in found:
                kind = word
            else:
                found[kind].append(word)
        return found[""], found["&optional"], bool(found["&rest"]), found["&key"]

    def _bound(self, arguments: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        required, optional, rest, keys = self.names
        most = len(arguments) if rest else len(required) + len(optional)
        positional, pairs = list(arguments[:most]), arguments[most:]
        given = [_name(each) for each in pairs[::2]]
        if len(positional) < len(required) or len(pairs) % 2 or not set(given) <= set(keys):
            raise ModelError(
                f"the arguments do not fit; write ({self.name.lower()} {self.parameters})"
            )
        named = zip(given, pairs[1::2], strict=True)
        # Of an option that is there twice Lisp takes the first one.
        return positional, {name.replace("-", "_"): value for name, value in reversed([*named])}


def _shown(arguments: Sequence[Any]) -> str:
    shown = [
        f"{str(each.dtype).removeprefix('torch.')} {tuple(each.shape)}"
        for each in arguments
        if isinstance(each, Tensor)
    ]
    return f"tensors {' and '.join(shown)}" if shown else "these arguments"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip().rstrip(".") or type(error).__name__


def _name(key: Any) -> str:
    return key.name.lower() if isinstance(key, Symbol) and key.is_keyword else ""
