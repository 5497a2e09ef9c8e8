"""Find a file whose weights are under weight_norm or spectral_norm, and a model without it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from caten_sd.loading.misfit import Case, Cause, Shape, shapes_of
from caten_sd.loading.report import Outcome
from caten_sd.state.grouping import few_keys
from caten_sd.state.keys import joined_key
from caten_sd.state.quoting import python_literal
from caten_sd.wording import counted

_PARAMETRIZED = re.compile(r"(?:(.+)\.)?parametrizations\.([^.]+)\.(original[01]?)")
_HOOKED = re.compile(r"(?:(.+)\.)?([^.]+)_(v|orig)")
_PARTNERS = {
    "original1": ("weight_norm", "parametrizations.{}.original0"),
    "v": ("weight_norm", "{}_g"),
    "original": ("spectral_norm", "parametrizations.{}.0._u"),
    "orig": ("spectral_norm", "{}_u"),
}


class _Normed(NamedTuple):
    """A weight of the file: key, module, norm, slot, shape, and the shape of its partner."""

    key: str
    parent: str
    name: str
    norm: str
    slot: str
    shape: Shape
    partner: Shape


def normed_weights(case: Case) -> Cause | None:
    """Return a cause if slots are missing that the file has under weight_norm or spectral_norm.

    The norm's tensors are not the weight: a rename would load wrong values.
    """
    missing = case.shapes(Outcome.MISSING)
    found = [each for each in _normed(case) if missing.get(each.slot) == each.shape]
    if not found:
        return None
    norms = " and ".join(sorted({each.norm for each in found}))
    weights = counted(len(found), "weight is", "weights are")
    slots = few_keys([each.slot for each in found], 2)
    return Cause(
        f"{weights} under {norms} in the file and plain in the model ({slots}): the file has the "
        f"parts that the weight is computed from; apply the norm to the model too, or fold it in "
        f"the model that wrote the file and save again",
        _wrapping(found) if _can_wrap(case, found) else "",
    )


def parts_of_norms(case: Case) -> set[str]:
    """Return the keys of the file that look like a weight, and are a part of a normed one."""
    return {each.key for each in _normed(case)}


def _normed(case: Case) -> Iterator[_Normed]:
    shapes = shapes_of(case.file)
    for key, shape in shapes.items():
        match = _PARAMETRIZED.fullmatch(key) or _HOOKED.fullmatch(key)
        if match is None or (known := _PARTNERS.get(match[3])) is None:
            continue
        parent, name = match[1] or "", match[2]
        partner = shapes.get(joined_key(parent, known[1].format(name)))
        if partner is not None:
            yield _Normed(key, parent, name, known[0], joined_key(parent, name), shape, partner)


def _can_wrap(case: Case, found: list[_Normed]) -> bool:
    """Return whether the line is right: a torch module, and a known axis for each norm."""
    plain = {each.slot.rpartition(".")[0] for each in found}
    return case.is_module and len(plain) == len(found) and all(map(_has_axis, found))


def _has_axis(each: _Normed) -> bool:
    """Return whether the file shows the axis, or torch's default is the only one that fits."""
    if each.norm == "weight_norm":
        return _axes(each) != []
    wide = [axis for axis, size in enumerate(each.shape) if (size,) == each.partner]
    return (len(each.shape) == 2 and wide[:1] == [0]) or wide in ([0], [1])


def _axes(each: _Normed) -> list[int | None]:
    """Return the axes that weight_norm can have; None is the norm of the whole weight."""
    if each.partner == ():
        return [None]
    axes = range(len(each.shape))
    return [a for a in axes if each.partner == tuple(s if i == a else 1 for i, s in
            enumerate(each.shape))]  # fmt: skip


def _wrapping(found: list[_Normed]) -> str:
    """Return the line that applies the norms to the model's modules and loads the file then."""
    calls: dict[str, list[str]] = {}
    for each in found:
        axis = _axes(each)[0] if each.norm == "weight_norm" else _spectral_axis(each)
        call = f"{each.norm}(model.get_submodule(path), {python_literal(each.name)}, dim={axis})"
        calls.setdefault(call, []).append(each.parent)
    norms = "torch.nn.utils.parametrizations"
    lines = [
        f"[{norms}.{call} for path in [{', '.join(map(python_literal, paths))}]]"
        for call, paths in calls.items()
    ]
    return "; ".join(["import torch", *lines, "load_state_dict(model, state_dict)"])


def _spectral_axis(each: _Normed) -> int:
    return next(axis for axis, size in enumerate(each.shape) if (size,) == each.partner)
