"""The operation between tensors that hold the same values, found from the values and checked."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

from caten_sd.mapping.assembly import MOST, Unstack
from caten_sd.mapping.heads import Regroup, regrouped_order
from caten_sd.mapping.operations import Chain, Identity, Operation, inverted
from caten_sd.proof.arrangement import arrangement
from caten_sd.proof.division import Found, Shape, division
from caten_sd.proof.fingerprints import bits_of, native
from caten_sd.proof.joined_views import found_pieces, rejoined
from caten_sd.proof.named_sizes import NamedSizes
from caten_sd.proof.partial_order import partly_ordered
from caten_sd.proof.strided_views import boundaries, likely_strides, strided_view, within
from caten_sd.proof.weights import Bearer, SameValues, Weights
from caten_sd.state.compare import same_bytes

STACKED = "e"  # the capture of an index that is stacked


class Between(NamedTuple):
    """A match with its operation from A to B, with the tensors in the operation's order.

    ``apart`` is how far the values are apart, in spreads of the values.
    """

    match: SameValues
    operation: Operation
    apart: float = 0.0


def between(match: SameValues, a: Weights, b: Weights, names: NamedSizes) -> Between | None:
    """Return the operation of a match, or None if the algebra has none."""
    if len(match.b) > 1 or match.b[0].is_stack:
        return _divided(match, a, b, names)
    if len(match.a) > 1 or match.a[0].is_stack:
        found = _divided(match.turned(), b, a, names)
        return found and Between(found.match.turned(), found.operation.inverse())
    operation = _alone(match, a, b, names)
    return None if operation is None else Between(match, operation)


def _alone(match: SameValues, a: Weights, b: Weights, names: NamedSizes) -> Operation | None:
    """Return the operation from one tensor to another."""
    (one,), (other,) = match.keys
    here, there = a.specs[one], b.specs[other]
    same = here.shape == there.shape
    if same and here.dtype == there.dtype and same_bytes(a.leaves[one], b.leaves[other]):
        return Identity()
    whole, part = _bits(a, match.a[0], match.level), _bits(b, match.b[0], match.level)
    if whole.size == 0:
        return Identity() if same else None
    if same and (whole == part).all():
        return Identity()
    view = strided_view(whole, part, likely_strides(here.shape, names.numbers.values()), first=True)
    levels = view and within(view, here.shape, there.shape)
    if levels is not None and view is not None:
        return arrangement(here.shape, there.shape, levels, names)
    found = _packed(whole, part, here.shape, names) if same else None
    return found or partly_ordered(whole, part, here.shape, there.shape, names)


def _bits(weights: Weights, bearer: Bearer, level: str) -> Any:
    """Return the bits of a bearer in C order, flat; those of a stack one tensor after another."""
    import numpy as np

    arrays = [_array(weights.leaves[key], level) for key in bearer.keys]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _array(leaf: Any, level: str) -> Any:
    import numpy as np

    return bits_of(np.ascontiguousarray(native(leaf)).reshape(-1), level)


def _packed(whole: Any, part: Any, shape: Shape, names: NamedSizes) -> Operation | None:
    """Return the packing of queries, keys and values of grouped heads between two tensors."""
    row = math.prod(shape[1:])
    here, there = whole[::row], part[::row]
    for shares, groups in _packings(shape[0], names):
        unit = shape[0] // sum(shares)
        order = list(regrouped_order(tuple(share * unit for share in shares), groups))
        for undo in (False, True):
            taken = list(inverted(order)) if undo else order
            if (here[taken] == there).all():
                rows = whole.reshape(shape[0], row)[taken]
                if (rows.reshape(-1) == part).all():
                    named = names.shares([share * unit for share in shares])
                    return Regroup(named, names.heads(groups), undo=undo)
    return None


def _packings(rows: int, names: NamedSizes) -> list[tuple[tuple[int, int, int], int]]:
    """Return the shares of queries, keys and values that so many rows can have, and the groups."""
    counts = [n for n in range(1, 257) if rows % n == 0 and rows <= MOST]
    return [
        ((many, 1, 1), groups)
        for many in range(2, 65)
        for groups in counts
        if groups > 1 and rows % ((many + 2) * groups) == 0
    ]


def _divided(match: SameValues, a: Weights, b: Weights, names: NamedSizes) -> Between | None:
    """Return the operation from a tensor of A to several of B."""
    (key,) = match.a[0].keys
    whole, shape = _bits(a, match.a[0], match.level), a.specs[key].shape
    hints = likely_strides(shape, names.numbers.values())
    found: list[tuple[Bearer, Found]] = []
    for bearer in match.b:
        part = _bits(b, bearer, match.level)
        pieces = found_pieces(whole, part, shape, _shape(b, bearer), hints)
        found += [(bearer, each) for each in pieces]
        if not pieces:
            return None
    found.sort(key=lambda each: each[1].view.offset)
    ordered = tuple(dict.fromkeys(bearer for bearer, _ in found))
    operation = _operation_of(shape, found, names)
    if operation is None:
        return None
    if match.b[0].is_stack and len(ordered) > 1:
        operation = chained(operation, Unstack(STACKED))
    return Between(match._replace(b=ordered), operation)


def _operation_of(
    shape: Shape, found: list[tuple[Bearer, Found]], names: NamedSizes
) -> Operation | None:
    parts = [each for _, each in found]
    if len(parts) == 1:
        return _stacked(shape, parts[0], names)
    bearers = [bearer for bearer, _ in found]
    counts = [len(list(run)) for _, run in itertools.groupby(bearers)]
    operation = division(shape, parts, names)
    if operation is None or len(counts) > len(set(bearers)):
        return None
    return operation if len(counts) == len(parts) else rejoined(operation, counts)


def _shape(weights: Weights, bearer: Bearer) -> Shape:
    shape = weights.specs[bearer.keys[0]].shape
    return (len(bearer.keys), *shape) if bearer.is_stack else shape


def _stacked(whole: Shape, part: Found, names: NamedSizes) -> Operation | None:
    """Return the operation from a tensor to a stack, of which it has all elements."""
    levels = within(part.view, whole, part.shape)
    if levels is None:
        return None
    for axis in range(len(whole)):
        moved = (whole[axis], *whole[:axis], *whole[axis + 1 :])
        if moved == part.shape and levels == tuple(_moved_levels(whole, axis)):
            return Unstack(STACKED, axis)
    return chained(arrangement(whole, part.shape, levels, names), Unstack(STACKED))


def _moved_levels(shape: Shape, axis: int) -> list[tuple[int, int]]:
    edges = boundaries(shape)
    order = [axis, *(n for n in range(len(shape)) if n != axis)]
    return [(shape[n], edges[n]) for n in order if shape[n] > 1]


def chained(*operations: Operation) -> Operation:
    """Return the operations one after the other, without those that do nothing."""
    flat = itertools.chain.from_iterable(
        each.operations if isinstance(each, Chain) else (each,) for each in operations
    )
    kept = [each for each in flat if not isinstance(each, Identity)]
    if len(kept) == 1:
        return kept[0]
    return Chain(*kept) if kept else Identity()
