"""Build the model that ``module:callable`` or a call in Lisp names on the command line."""

from __future__ import annotations

import ast
import inspect
import os
import re
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from caten_sd.cli.lisp_calls import build_call, python_call, split_call
from caten_sd.dispatch.installing import install_hint
from caten_sd.errors import CatenError, StateDictError
from caten_sd.mapping.named_code import module_of, split_name
from caten_sd.objects.owner import slots_of
from caten_sd.state.quoting import python_literal
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import first_few


def build(text: str) -> Any:
    """Return what ``module:callable`` or ``module:callable(literals)`` builds; CatenError if not.

    The module may be a file, as in ``mine.py:build``, or one of Lisp, as in ``mine.lisp:(Net 3)``.
    """
    lisp = split_call(text)
    if lisp is not None:
        return build_call(text, *lisp)
    module, call = split_name(text)
    try:
        found: Any = module_of(module)
    except CatenError as error:
        raise CatenError(f"{text} does not build a model: {error}") from error
    except (Exception, SystemExit) as error:
        raise CatenError(
            f"{text} does not build a model, since {module} fails ({type(error).__name__}: "
            f"{error}); {install_hint(error, 'mend it')}"
        ) from error
    return _called(text, found, call)


def python_of(text: str, model: Any) -> str:
    """Return the statements that set ``model``; they need the names of ``caten_sd``.

    A model may be there without a call.
    """
    lisp = split_call(text)
    if lisp is not None:
        return f"model = {python_call(*lisp)}"
    module, call = split_name(text)
    if "(" not in call and _named(text, module_of(module), call) is not model:
        call = f"{call}()"
    if not module.endswith(".py"):
        return f"import {module}; model = {module}.{call}"
    # No import finds a file that is named by its path.
    name, *rest = re.split(r"(?=[.(])", ast.unparse(ast.parse(call, mode="eval")), maxsplit=1)
    file = python_literal(os.path.expanduser(module))
    found = f"runpy.run_path({file})[{python_literal(name)}]{''.join(rest)}"
    return f"import runpy; model = {found}"


def _called(text: str, module: Any, call: str) -> Any:
    """Return what a name or a call in a module gives; CatenError if that is not a model."""
    if not call:
        near = _callables(module, "")
        fix = f"name one of its callables after a colon{near and f', such as {near}'}"
        raise _no_model(text, "it names a module alone", fix)
    try:
        name, args, keywords = _parse(call)
    except (SyntaxError, ValueError) as error:
        problem = f"{call} is not a call with literals"
        raise _no_model(text, problem, "write it as in Model(32, depth=2)") from error
    found = _named(text, module, name)
    if isinstance(found, ModuleType):
        fix = f"name a callable in it, as in {name}.Model(32, depth=2)"
        raise _no_model(text, f"{name} is a module", fix)
    is_built = name == call and (not callable(found) or slots_of(found) is not None)
    made = found if is_built else _result(text, found, name, args, keywords)
    if made is None:
        problem = f"{name} is None" if is_built else f"{name} returns None"
        raise _no_model(text, problem, "let it be the model" if is_built else "let it return one")
    return made


def _named(text: str, module: Any, name: str) -> Any:
    """Return what a dotted name means in a module; CatenError names what is near."""
    found, place = module, split_name(text)[0]
    for attribute in name.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError as error:
            near = _callables(found, attribute)
            fix = f"name one of its callables, such as {near}" if near else "correct the name"
            raise _no_model(text, f"{place} has no {attribute}", fix) from error
        place = attribute
    return found


def _callables(holder: Any, name: str) -> str:
    """Return the callables of a holder that are near a name, or its own first ones."""
    public = {each: getattr(holder, each, None) for each in dir(holder) if each[0] != "_"}
    names = [each for each, value in public.items() if callable(value)]
    home = getattr(holder, "__name__", None)
    own = [each for each in names if getattr(public[each], "__module__", None) == home]
    near = get_close_matches(name.lower(), [each.lower() for each in names], 3, 0.5)
    return first_few([each for each in names if each.lower() in near] or own or names, 5)


def _result(text: str, build: Any, name: str, args: list[Any], keywords: dict[str, Any]) -> Any:
    """Return what a callable returns; CatenError says which arguments it takes, or how it fails."""
    try:
        signature = inspect.signature(build)
    except (TypeError, ValueError):  # of a built-in callable, or it is not callable
        signature = None
    try:
        if signature is not None:
            signature.bind(*args, **keywords)
    except TypeError as error:
        raise _no_model(text, f"{name}: {error}", _usage(signature)) from error
    try:
        return build(*args, **keywords)
    except CatenError:
        raise
    except Exception as error:
        problem = f"{name} fails ({type(error).__name__}: {error})"
        raise _no_model(text, problem, "mend it, or call it with other arguments") from error


def _usage(signature: inspect.Signature | None) -> str:
    """Return which arguments a callable takes, and how to write them."""
    empty = inspect.Parameter.empty
    known = signature.parameters.values() if signature else ()
    if not known:
        return "it takes no arguments, so leave them out"
    plain = inspect.Signature([each.replace(annotation=empty) for each in known])
    return f"it takes {plain}, so write them as in Model(32, depth=2)"


def _no_model(text: str, problem: str, fix: str) -> CatenError:
    return CatenError(f"{text} does not build a model: {problem}; {fix}")


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
    if any(word.arg is None for word in tree.keywords):
        raise ValueError("a call with ** has no names of its own")
    keywords = {str(word.arg): ast.literal_eval(word.value) for word in tree.keywords}
    return ast.unparse(tree.func), [ast.literal_eval(arg) for arg in tree.args], keywords
