"""Build the model that ``module:callable`` names on the command line."""

from __future__ import annotations

import ast
import os
from typing import Any

from caten_sd.errors import CatenError, StateDictError
from caten_sd.mapping.named_code import module_of, names_code, split_name
from caten_sd.state.state_dict import StateDict


def is_model(text: str) -> bool:
    """Return whether a text is ``package.module:callable``, not the name of a file or layout."""
    return bool(split_name(text)[1]) and names_code(text) and not os.path.exists(text)


def build(text: str) -> Any:
    """Return what ``module:callable`` or ``module:callable(literals)`` builds; CatenError if not.

    The module may be a file, as in ``mine.py:build``.
    """
    module, call = split_name(text)
    try:
        found: Any = module_of(module)
    except CatenError as error:
        raise CatenError(f"{text} does not build a model: {error}") from error
    except (Exception, SystemExit) as error:
        raise CatenError(
            f"{text} does not build a model, since {module} fails ({type(error).__name__}: "
            f"{error}); mend it"
        ) from error
    return _called(text, found, call)


def _called(text: str, found: Any, call: str) -> Any:
    try:
        name, args, keywords = _parse(call)
        for attribute in name.split("."):
            found = getattr(found, attribute)
        return found(*args, **keywords) if callable(found) else found
    except CatenError:
        raise
    except Exception as error:
        raise CatenError(
            f"{text} does not build a model ({type(error).__name__}: {error}); name a module and a "
            f"callable in it, as in package.module:build or package.module:Model(32, depth=2)"
        ) from error


def state_of(text: str, model: Any) -> StateDict:
    """Return the state dict of the model that a text names; CatenError if it is empty."""
    from caten_sd.objects.extract import get_state_dict

    state_dict = get_state_dict(model)
    if not state_dict:
        raise StateDictError(
            f"{text} has no state: none of its slots holds a tensor; name a model with parameters"
        )
    return state_dict


def _parse(call: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Return the dotted name and the literal arguments of a call; the text is never evaluated."""
    tree = ast.parse(call, mode="eval").body
    if not isinstance(tree, ast.Call):
        return call, [], {}
    keywords = {word.arg: ast.literal_eval(word.value) for word in tree.keywords if word.arg}
    return ast.unparse(tree.func), [ast.literal_eval(arg) for arg in tree.args], keywords
