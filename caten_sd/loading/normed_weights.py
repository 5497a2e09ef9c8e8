"""Find a file whose weights are computed from parts (a norm, a mask), and a model without those."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from caten_sd.loading.misfit import Case, Cause, Shape
from caten_sd.loading.report import Outcome
from caten_sd.loading.wrapper_prefixes import WRAPPERS
from caten_sd.state.grouping import few_keys
from caten_sd.state.keys import joined_key
from caten_sd.state.quoting import python_literal
from caten_sd.wording import counted

_PARAMETRIZED = re.compile(r"(?:(.+)\.)?parametrizations\.([^.]+)\.(original[01]?)")
_HOOKED = re.compile(r"(?:(.+)\.)?([^.]+)_(v|orig)")
# What is next to the part that has the weight's shape; None: nothing that tells which it is.
_PARTNERS = {
    "original1": (("weight_norm", "parametrizations.{}.original0"),),
    "v": (("weight_norm", "{}_g"),),
    "original": (("spectral_norm", "parametrizations.{}.0._u"), ("a parametrization", None)),
    "orig": (("spectral_norm", "{}_u"), ("pruning", "{}_mask")),
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
    """Return a cause if slots are missing that the file has under weight_norm, pruning and so on.

    The parts are not the weight: a rename would load wrong values.
    """
    missing = case.shapes(Outcome.MISSING)
    normed = list(_normed(case))
    root = _root(normed, missing)
    if root is None:
        return None
    start = f"{root}." if root else ""
    bare = [_below(root, each) for each in normed if each.slot.startswith(start)]
    found = [each for each in bare if missing.get(each.slot) == each.shape]
    norms = " and ".join(sorted({each.norm for each in found}))
    weights = counted(len(found), "weight is", "weights are")
    slots = few_keys([each.slot for each in found], 2)
    under = f', where the model is under "{root}."' if root else ""
    return Cause(
        f"{weights} under {norms} in the file and plain in the model ({slots}){under}: the file "
        f"has the parts that the weight is computed from; apply the same to the model, or undo it "
        f"in the model that wrote the file and save again",
        _wrapping(found, root) if _can_wrap(case, found, root) else "",
    )


def parts_of_norms(case: Case) -> set[str]:
    """Return the keys of the file that look like a weight, and are a part of a normed one."""
    return {each.key for each in _normed(case)}


def _normed(case: Case) -> Iterator[_Normed]:
    shapes = case.file_shapes
    for key, shape in shapes.items():
        match = _PARAMETRIZED.fullmatch(key) or _HOOKED.fullmatch(key)
        if match is None:
            continue
        parent, name = match[1] or "", match[2]
        for norm, partner in _PARTNERS.get(match[3], ()):
            other = shapes.get(joined_key(parent, partner.format(name))) if partner else ()
            if other is not None:
                slot = joined_key(parent, name)
                yield _Normed(key, parent, name, norm, slot, shape, other)
                break


def _root(normed: list[_Normed], missing: dict[str, Shape]) -> str | None:
    """Return the prefix after which a weight of the file is a slot that is missing, or None."""
    for each in normed:
        parts = each.slot.split(".")
        for at in range(len(parts)):
            if missing.get(".".join(parts[at:])) == each.shape:
                return ".".join(parts[:at])
    return None


def _below(root: str, each: _Normed) -> _Normed:
    parent = each.parent.removeprefix(root).removeprefix(".") if root else each.parent
    return each._replace(parent=parent, slot=joined_key(parent, each.name))


def _can_wrap(case: Case, found: list[_Normed], root: str) -> bool:
    """Return whether the line is right: a torch module, a known axis, and nothing else missing."""
    plain = {each.slot.rpartition(".")[0] for each in found}
    if not case.is_module or len(plain) < len(found) or not all(map(_has_axis, found)):
        return False
    file = case.file_shapes
    others = case.shapes(Outcome.MISSING).keys() - {each.slot for each in found}
    return all(file.get(joined_key(root, slot)) == case.slot_shapes[slot] for slot in others)


def _has_axis(each: _Normed) -> bool:
    """Return whether the file shows the axis, or torch's default is the only one that fits."""
    if each.norm == "weight_norm":
        return _axes(each) != []
    if each.norm != "spectral_norm":
        return each.norm == "pruning" and each.partner == each.shape
    wide = [axis for axis, size in enumerate(each.shape) if (size,) == each.partner]
    return (len(each.shape) == 2 and wide[:1] == [0]) or wide in ([0], [1])


def _axes(each: _Normed) -> list[int | None]:
    """Return the axes that weight_norm can have; None is the norm of the whole weight."""
    if each.partner == ():
        return [None]
    axes = range(len(each.shape))
    return [a for a in axes if each.partner == tuple(s if i == a else 1 for i, s in
            enumerate(each.shape))]  # fmt: skip


def _wrapping(found: list[_Normed], root: str) -> str:
    """Return the line that applies the norms to the model's modules and loads the file then."""
    calls: dict[str, list[str]] = {}
    for each in found:
        calls.setdefault(_call(each), []).append(each.parent)
    lines = [
        f"[torch.nn.utils.{call} for path in [{', '.join(map(python_literal, paths))}]]"
        for call, paths in calls.items()
    ]
    bare = not root or set(root.split(".")) <= WRAPPERS
    rename = "" if bare else f', rename={{{python_literal(root)}: ""}}'
    pruned = any(each.norm == "pruning" for each in found)
    imported = "import torch.nn.utils.prune" if pruned else "import torch"
    return "; ".join([imported, *lines, f"load_state_dict(model, state_dict{rename})"])


def _call(each: _Normed) -> str:
    arguments = f"model.get_submodule(path), {python_literal(each.name)}"
    if each.norm == "pruning":
        return f"prune.identity({arguments})"
    axis = _axes(each)[0] if each.norm == "weight_norm" else _spectral_axis(each)
    return f"parametrizations.{each.norm}({arguments}, dim={axis})"


def _spectral_axis(each: _Normed) -> int:
    return next(axis for axis, size in enumerate(each.shape) if (size,) == each.partner)
