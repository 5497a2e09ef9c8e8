"""Where two models part: the first layer whose input or output differs, and what it shows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from caten_sd.objects.owner import slots_of
from caten_sd.proof.live_layers import LayerPair, LiveModel, SameWeights, has_parts
from caten_sd.proof.model_runs import INPUT, OUTPUT
from caten_sd.proof.projection import Projection
from caten_sd.state.compare import same_values
from caten_sd.state.leaf import Numpy, as_array, spec, spec_or_none
from caten_sd.wording import a_or_an, counted, first_few

_GROWTH = 4  # times the largest difference before, which rounding may become in one step
_PLAIN = (bool, int, float, str)


class LayerGap(NamedTuple):
    """The input or output of a layer, by its paths in A and B, and how far they are apart.

    ``relative`` is the root mean square of the differences, in that of A's values, and ``rounding``
    what the dtypes alone may give. ``largest`` is the largest difference, or None where only a
    projection of A's values was kept, which tells ``relative`` within a tenth.
    """

    a: str
    b: str
    moment: str
    relative: float
    largest: float | None
    rounding: float


def compared(a: str, b: str, moment: str, one: Any, other: Any, *, alike: bool) -> LayerGap | None:
    """Return how far two arrays are apart; of the first, a projection may be all that is known.

    If they do not have the same number of elements, that is a difference where layers have to give
    what is ``alike``, and else they are not comparable: None.
    """
    rounding = max(_rounding(one.dtype), _rounding(other.dtype))
    if one.size != other.size or not one.size:
        differs = alike and one.size != other.size
        return LayerGap(a, b, moment, math.inf, math.inf, rounding) if differs else None
    if isinstance(one, Projection):
        rms, scale, largest = one.rms(Projection(other)), one.scale, None
    else:
        rms, scale, largest = _apart(one, other)
    relative = 0.0 if rms == 0 else rms / scale if scale else math.inf
    if math.isnan(relative):
        relative, largest = math.inf, None if largest is None else math.inf
    return LayerGap(a, b, moment, relative, largest, rounding)


def _apart(one: Any, other: Any) -> tuple[float, float, float | None]:
    """Return the root mean square of differences, that of the first values, and the largest."""
    import numpy as np

    here, there = (each.astype(np.float64).reshape(-1) for each in (one, other))
    equal = (here == there) | (np.isnan(here) & np.isnan(there))
    finite = here[np.isfinite(here)]
    with np.errstate(all="ignore"):
        gaps = np.where(equal, 0.0, np.abs(here - there))
        scale = math.sqrt(float(np.mean(np.square(finite)))) if finite.size else 0.0
        rms = math.sqrt(float(np.mean(np.square(gaps))))
    return rms, scale, float(gaps.max())


def _rounding(dtype: Any) -> float:
    """Return the relative difference that one layer may have in this dtype by rounding alone."""
    known = {"float64": 2.0**-44, "float16": 2.0**-8, "bfloat16": 2.0**-5}
    return known.get(dtype.name, 2.0**-19)


def first_parting(found: Sequence[LayerGap], tolerance: float | None) -> int | None:
    """Return the place of the first difference that is not rounding, or None.

    Rounding is at most ``tolerance``, or what the dtype gives, above what was there before.
    """
    before = 0.0
    for place, each in enumerate(found):
        room = each.rounding if tolerance is None else tolerance
        if not each.relative <= room + _GROWTH * before:
            return place
        before = max(before, each.relative)
    return None


class Evidence(NamedTuple):
    """What is known of a layer that differs: its settings, and its weights by their keys."""

    settings: Sequence[str]
    weights: Mapping[str, str]


def cause_of(settings: Sequence[str], weights: Mapping[str, str]) -> str:
    """Return the cause of a difference, as far as weights and settings show one.

    >>> cause_of(["eps is 1e-05 in A and 1e-06 in B"], {"w": ""})
    'eps is 1e-05 in A and 1e-06 in B'
    """
    differing = [f"{key}: {said}" for key, said in weights.items() if said]
    parts = [first_few(differing, 2, between="; ")] if differing else []
    parts += [first_few(settings, 3, between="; ")] if settings else []
    return "; ".join(parts) or (
        "weights and settings there are the same, so the code computes something else"
    )


def evidence(
    pair: LayerPair, a: LiveModel, b: LiveModel, weights: SameWeights, *, below: bool
) -> Evidence:
    """Return what differs in a layer; ``below``, in the layers in it that have no weights, too."""
    keys = [key for key in weights.leaves if a.above(key)[-1:] == [pair.a]]
    shown = {key: _difference(key, a, weights) for key in keys}
    own = pair.a.rpartition(".")[2]
    settings = list(_settings(a.layers[pair.a], b.layers[pair.b], own, ""))
    if below:
        for path, owner in a.layers.items():
            parent, _, name = path.rpartition(".")
            other = b.layers.get(f"{pair.b}.{name}" if pair.b else name)
            if parent == pair.a and path and other is not None and not has_parts(owner):
                settings += _settings(owner, other, name, f"{name}.")
    return Evidence(settings, shown)


def _settings(one: Any, other: Any, name: str, where: str) -> Iterator[str]:
    """Yield the plain values that two layers have under one name, where they differ."""
    kinds = type(one).__name__, type(other).__name__
    if kinds[0] != kinds[1] and not has_parts(one) and not has_parts(other):
        yield f"{name or 'it'} is {a_or_an(kinds[0])} in A and {a_or_an(kinds[1])} in B"
    here, there = _plain(one), _plain(other)
    for setting, value in here.items():
        if setting in there and there[setting] != value:
            yield f"{where}{setting} is {value!r} in A and {there[setting]!r} in B"


def _plain(owner: Any) -> dict[str, Any]:
    slots = {str(name): value for name, value, _ in slots_of(owner) or ()}
    found = {**slots, **getattr(owner, "__dict__", {})}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, _PLAIN) and name[0] != "_" and name != "training"
    }


def _difference(key: str, a: LiveModel, weights: SameWeights) -> str:
    """Return how a weight of B differs from that of A, or ""."""
    import numpy as np

    own, other = a.state[key], weights.leaves[key]
    if same_values(own, other):
        return ""
    if spec(own).shape != spec(other).shape:
        return f"of shape {list(spec(own).shape)} in A and {list(spec(other).shape)} in B"
    one, two = (as_array(Numpy(), each).astype(np.float64) for each in (own, other))
    if one.ndim == 2 and one.shape[0] == one.shape[1] and np.array_equal(one, two.T):
        return "transposed in B"
    swapped = next(_elsewhere(key, a, other), "")
    if swapped:
        return f"in B it has the values of {swapped} in A"
    with np.errstate(invalid="ignore"):
        gaps = np.abs(one - two)
    if not np.isfinite(gaps).all():
        count = int((~np.isfinite(gaps)).sum())
        return f"{counted(count, 'value')} NaN or infinite in A or in B"
    scale = math.sqrt(float(np.mean(np.square(one)))) or 1.0
    rms = math.sqrt(float(np.mean(np.square(gaps)))) / scale
    return f"its values differ by up to {float(gaps.max()):.2g}, relative {rms:.2g}"


def _elsewhere(key: str, a: LiveModel, leaf: Any) -> Iterator[str]:
    """Yield the tensors of A in the same module, or the one above, that have these values."""
    shape, above = spec(leaf).shape, (a.above(key)[-2:] or [""])[0]
    for name, own in a.state.items():
        known = spec_or_none(own)
        near = name != key and (not above or name.startswith(f"{above}."))
        if near and known is not None and known.shape == shape and same_values(own, leaf):
            yield name


def place(found: Sequence[LayerGap], at: int) -> str:
    """Return where two models part, in words."""
    each = found[at]
    name = each.a or "the model"
    names = name if each.a == each.b else f"{name} ({each.b or 'the model'} in B)"
    before = found[at - 1] if at else None
    if each.moment == OUTPUT and (
        before is None or (before.moment == INPUT and before[:2] == each[:2])
    ):
        return f"at {names}: its input is the same, and its output differs"
    after = "" if before is None else _of(before)
    if each.moment == OUTPUT:
        return f"at the end of {names}, after {after}, which is the same"
    return f"between {after} and the input of {names}" if after else f"at the input of {names}"


def _of(each: LayerGap) -> str:
    return f"the {each.moment} of {each.a or 'the model'}"
