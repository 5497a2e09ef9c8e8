"""``module:callable`` on the command line: the model that it builds."""

from __future__ import annotations

import ast
import importlib
import os
import sys
from typing import Any

from caten_sd.errors import CatenError, StateDictError
from caten_sd.state.state_dict import StateDict


def is_model(text: str) -> bool:
    """Tell ``package.module:callable`` from the name of a file or a layout."""
    module, _, call = text.partition(":")
    return bool(call) and not os.path.exists(text) and module.replace(".", "").isidentifier()


def build(text: str) -> Any:
    """Return what ``module:callable`` or ``module:callable(literals)`` gives, or CatenError.

    The working folder is searched for the module first, as ``python -m`` does.
    """
    module, _, call = text.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        name, args, keywords = _parse(call)
        made: Any = importlib.import_module(module)
        for part in name.split("."):
            made = getattr(made, part)
        return made(*args, **keywords) if callable(made) else made
    except CatenError:
        raise
    except Exception as error:
        raise CatenError(
            f"{text} gives no model ({type(error).__name__}: {error}); name a module and a "
            f"callable in it, as in package.module:build or package.module:Model(32, depth=2)"
        ) from error


def state_of(text: str) -> tuple[Any, StateDict]:
    """Return the model that ``build`` gives, and its state dict; CatenError if it is empty."""
    from caten_sd.objects.extract import get_state_dict

    model = build(text)
    state_dict = get_state_dict(model)
    if not state_dict:
        raise StateDictError(f"{text} has no state: no slot of it holds a tensor")
    return model, state_dict


def _parse(call: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Return the dotted name and the literal arguments of a call; the text is never evaluated."""
    tree = ast.parse(call, mode="eval").body
    if not isinstance(tree, ast.Call):
        return call, [], {}
    keywords = {word.arg: ast.literal_eval(word.value) for word in tree.keywords if word.arg}
    return ast.unparse(tree.func), [ast.literal_eval(arg) for arg in tree.args], keywords
