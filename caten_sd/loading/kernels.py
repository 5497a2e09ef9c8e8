"""Find the names that Flax, Keras and TensorFlow give to weights, and the order of their axes."""

from __future__ import annotations

import re
from typing import NamedTuple

from caten_sd.loading.misfit import Case, Cause, Shape
from caten_sd.loading.report import Outcome
from caten_sd.loading.row_lines import LayoutRow, layout_line
from caten_sd.loading.separators import letters_of, unique_letters
from caten_sd.state.grouping import few_keys
from caten_sd.wording import counted

_ORDERS = {2: (1, 0), 3: (2, 1, 0), 4: (3, 2, 0, 1), 5: (4, 3, 0, 1, 2)}
_PLAIN = {
    "kernel": "weight",
    "scale": "weight",
    "embedding": "weight",
    "embeddings": "weight",
    "gamma": "weight",
    "beta": "bias",
    "mean": "running_mean",
    "moving_mean": "running_mean",
    "var": "running_var",
    "moving_variance": "running_var",
}
_COLLECTIONS = frozenset({"params", "batch_stats"})  # of Flax: they stand before the model's names
_SEPARATOR = re.compile(r"[./]")


class _Match(NamedTuple):
    """A slot, its key in the file, and the order of the key's axes that gives the slot's."""

    slot: str
    key: str
    order: tuple[int, ...]


def flax_kernels(case: Case) -> Cause | None:
    """Return a cause if every slot that lacks a key has one by the names of these frameworks."""
    file, model = case.shapes(Outcome.UNEXPECTED), case.shapes(Outcome.MISSING)
    slots = unique_letters(model)
    found = [match for key in file if (match := _match(key, file[key], slots, model))]
    named = [each for each in found if _last(each.key) in _PLAIN]
    if not named or sorted(each.slot for each in found) != sorted(model):
        return None
    kernels = [each.key for each in found if each.order]
    if not kernels:
        first = named[0]
        keys = counted(len(named), "key has a name", "keys have names")
        text = f"{keys} of TensorFlow or Flax ({first.key} of the file is {first.slot})"
        return Cause(text, layout_line(_rows(found)))
    has = counted(len(kernels), "kernel", "kernels")
    verb, its = ("has", "its") if len(kernels) == 1 else ("have", "their")
    clear = all(_is_clear(file[key]) for key in kernels)
    unsure = "" if clear else "; a kernel of a transposed convolution would look the same"
    return Cause(
        f"{has} of the file ({few_keys(kernels, 2)}) {verb} {its} axes in the order of Flax and "
        f"Keras: a kernel is a transposed weight{unsure}",
        layout_line(_rows(found)) if clear else "",
    )


def _match(key: str, shape: Shape, slots: dict[str, str], model: dict[str, Shape]) -> _Match | None:
    """Return the slot that a key names in another framework's words, if its shape agrees."""
    *path, last = _SEPARATOR.split(key.removesuffix(":0"))
    if path and path[0] in _COLLECTIONS:
        del path[0]
    slot = slots.get(letters_of(".".join([*path, _PLAIN.get(last, last)])))
    order = _ORDERS.get(len(shape), ()) if last == "kernel" else ()
    ordered = tuple(shape[axis] for axis in order) if order else shape
    return _Match(slot, key, order) if slot is not None and model[slot] == ordered else None


def _last(key: str) -> str:
    return _SEPARATOR.split(key.removesuffix(":0"))[-1]


def _is_clear(kernel: Shape) -> bool:
    """Return whether the shape tells a convolution from a transposed one."""
    return len(kernel) == 2 or kernel[-1] != kernel[-2]


def _rows(found: list[_Match]) -> list[LayoutRow]:
    return [([each.slot], [each.key], _operation(each.order)) for each in found]


def _operation(order: tuple[int, ...]) -> str:
    """Return what a row says for an order: a row goes from the slot to the key, so its inverse."""
    if not order:
        return ""
    inverse = tuple(order.index(axis) for axis in range(len(order)))
    return "Transpose()" if len(order) == 2 else f"Transpose({inverse})"
