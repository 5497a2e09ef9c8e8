"""State that a Lisp model has here and that Caten drops from a state dict without a word."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch

from caten_sd.errors import LispWarning, StateDictError
from caten_sd.errors.caller import caller_level
from caten_sd.lisp.functions.lists import Pair, Vector
from caten_sd.nn.module import Module
from caten_sd.nn.norm import BatchNorm
from caten_sd.objects.containers import Container, containers
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.slots import SAVED
from caten_sd.state.keys import pytorch_style_dict_key
from caten_sd.wording import counted, first_few

MOST_ITEMS = 200_000  # of the lists in a slot


def warn_of_dropped_state(model: Any) -> None:
    """Warn, once for each slot, of the keys that Caten lacks."""
    for container in containers(model):
        if not isinstance(container.owner, Module):
            continue
        if isinstance(container.owner, BatchNorm):
            _warn_of_statistics(container)
        for name, value, kind in container.slots:
            path = [*container.path, name]
            if kind in SAVED and (why := _why(value, path)):
                _warn(pytorch_style_dict_key(path), why, _keys(value, path))


def _warn(slot: str, why: str, keys: list[str]) -> None:
    if keys:
        warnings.warn(
            LispWarning(
                f"the slot {slot} holds {why}, which Caten drops from the state without a word: "
                f"{counted(len(keys), 'key')} that it lacks ({first_few(keys, 3)}); hold only "
                f"models or only tensors in a list"
            ),
            stacklevel=caller_level(),
        )


def _warn_of_statistics(container: Container) -> None:
    names = [name for name, _, kind in container.slots if kind == "buffer"]
    keys = [pytorch_style_dict_key([*container.path, name]) for name in names]
    warnings.warn(
        LispWarning(
            f"BatchNorm has running statistics here, as in torch, and none in Caten, so that Caten "
            f"lacks {first_few(keys, 3)}; normalize by LayerNorm for the same numbers in both"
        ),
        stacklevel=caller_level(),
    )


def _keys(value: Any, path: list[Any]) -> list[str]:
    return [pytorch_style_dict_key(each) for each, _ in to_state_dict(value, path)]


def _why(value: Any, path: list[Any]) -> str:
    """Return what a slot holds whose state Caten drops, or "" if it keeps it."""
    if getattr(type(value), "is_plain_class", False):
        return "an object of a plain class"
    if not isinstance(value, (list, Pair)) or not value:
        return ""
    items = list(value)
    if isinstance(value, Vector):
        return "a vector"
    if all(isinstance(each, torch.Tensor) for each in items) or all(map(_is_module, items)):
        return ""
    _check_size(value, path)
    return next(_kinds(items), "a list of models and other values")


def _is_module(value: Any) -> bool:
    return isinstance(value, Module) and not getattr(type(value), "is_plain_class", False)


def _kinds(items: list[Any]) -> Iterator[str]:
    if any(isinstance(each, Pair) for each in items):
        yield "a list of pairs"
    if any(isinstance(each, list) for each in items):
        yield "a list of lists"
    if any(each is None for each in items):
        yield "a list with nil in it"
    if any(getattr(type(each), "is_plain_class", False) for each in items):
        yield "a list with objects of a plain class"


def _check_size(value: Any, path: list[Any]) -> None:
    """Refuse lists that hold one another so often that no walk over them ends."""
    waiting, seen = [value], 0
    while waiting:
        each = waiting.pop()
        seen += 1
        if seen > MOST_ITEMS:
            raise StateDictError(
                f"the slot {pytorch_style_dict_key(path)} holds more than {MOST_ITEMS:,} items; "
                f"hold fewer, and no list in itself"
            )
        if isinstance(each, (list, Pair)):
            waiting += each
