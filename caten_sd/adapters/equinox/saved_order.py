"""The order in which Equinox writes the leaves of a tree: an .eqx file has no names."""

from __future__ import annotations

import re
from typing import Any

import equinox as eqx
import jax
import numpy as np

from caten_sd.errors import LoadError
from caten_sd.state.leaf import spec, spec_or_none
from caten_sd.wording import counted

_ROOT = re.compile(r"(\d+\.)?")  # the object that is loaded, or an item of a tuple that is
_FIX = "build the model as it was when the file was written"
_ARRAYS = (jax.Array, jax.ShapeDtypeStruct, np.ndarray)


def name_by_position(
    owner: Any, saved: list[tuple[str, Any]], prefix: str, leaves: dict[str, Any], source: Any
) -> None:
    """Give the next leaves of an .eqx file the names that Equinox ``saved`` them by, in place.

    LoadError if the file has others than the owner. What is not state, as a Python number, goes.
    """
    if getattr(source, "origin", "") != "eqx" or not _ROOT.fullmatch(prefix):
        return
    name, numbers = type(owner).__name__, [key for key in leaves if key.isdecimal()]
    if len(numbers) < len(saved) or (not prefix and len(numbers) > len(saved)):
        raise LoadError(
            f"the file has {counted(len(numbers), 'array')}, and {prefix}{name} has {len(saved)}; "
            f"nothing was changed: {_FIX}"
        )
    for number, (path, leaf) in zip(numbers, saved, strict=False):
        given = spec_or_none(leaves[number])
        here = spec(leaf).shape if isinstance(leaf, _ARRAYS) else ()
        if given is None or given.shape != here:
            there = list(given.shape) if given else "no array"
            raise LoadError(
                f"array {number} of the file is {there}, and {prefix}{path} of {name} is "
                f"{list(here)}; nothing was changed: {_FIX}"
            )
    for number, (path, leaf) in zip(numbers, saved, strict=False):
        given = leaves.pop(number)
        if isinstance(leaf, _ARRAYS):
            leaves[f"{prefix}{path}"] = given


def saved_in_order(tree: Any, name: str = "") -> list[tuple[str, Any]]:
    """Return the dotted path and the value of each leaf that Equinox saves, in its order."""
    found = jax.tree_util.tree_flatten_with_path(tree)[0]
    start = [name] if name else []
    return [
        (".".join([*start, *map(_step, path)]), leaf) for path, leaf in found if _is_saved(leaf)
    ]


def _is_saved(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct) or bool(eqx.is_array_like(leaf))


def _step(each: Any) -> str:
    """Return the name, the index or the key that a step of JAX's path has."""
    for name in ("name", "idx", "key"):
        if hasattr(each, name):
            return str(getattr(each, name))
    return str(each)
