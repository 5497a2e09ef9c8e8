"""The record of what layouts cut off tensors: an entry of the metadata that brings it back."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from caten_sd.errors import LayoutError, NoApplicableMethodError
from caten_sd.mapping.constants import has_only
from caten_sd.mapping.gathered import Item
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.derivation import is_trimmed, whole_before
from caten_sd.state.derived import Derived, derive, full_box, sliced
from caten_sd.state.dtype import DTYPES, numpy_dtype
from caten_sd.state.leaf import Numpy, as_array, spec
from caten_sd.state.padding_steps import Padded, Trimmed
from caten_sd.state.pieces import pieces
from caten_sd.state.state_dict import StateDict
from caten_sd.state.steps import Join

RECORD = "caten_sd.trimmed"
LONGEST = 4096  # elements of an axis that a record may claim beyond as many as are there
MOST = 1 << 20  # bytes of a tensor that metadata may hold
# What reading a record raises that a program has not written.
_WRONG = (LayoutError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError,
          ValueError)  # fmt: skip


def record_of(items: Iterable[Item]) -> tuple[dict[str, str], list[str]]:
    """Return the metadata that says what was cut off, and the keys of which it cannot say it.

    What was cut off is read. It is lost where it is too much, and where other steps came after.
    """
    entries, lost = {}, []
    for item in items:
        origin, step = whole_before(item.leaf)
        if step is None:
            lost += [item.key] * is_trimmed(item.leaf)
            continue
        try:
            entry = _entry(origin, step)
        except NoApplicableMethodError:  # a placeholder, which has no values
            continue
        if entry is None:
            lost.append(item.key)
        else:
            entries[item.key] = entry
    return ({RECORD: json.dumps(entries)} if entries else {}), lost


def _entry(origin: Any, step: Trimmed) -> dict[str, Any] | None:
    """Return what a record says of one tensor, or None if that is too much."""
    inner = origin.raw if isinstance(origin, BlockTensor) else origin
    known = spec(inner)
    entry = {"axis": step.axis, "start": step.start, "extent": known.shape[step.axis]}
    rest = _rest(inner, step)
    if not known.has_values or all(has_only(as_array(Numpy(), each), step.value) for each in rest):
        return {**entry, "value": step.value}
    if sum(spec(each).nbytes for each in rest) > MOST or not known.dtype.itemsize:
        return None
    data = b"".join(bytes(piece) for each in rest for piece in pieces(each))
    values = base64.b64encode(data).decode()
    return {**entry, "dtype": known.dtype.name, "values": values}


def _rest(inner: Any, step: Trimmed) -> list[Any]:
    """Return the leaves before and after the range that is kept."""
    shape = spec(inner).shape
    ranges = [(0, step.start), (step.stop, shape[step.axis])]
    boxes = []
    for start, stop in ranges:
        box = list(full_box(shape))
        box[step.axis] = slice(start, stop)
        boxes.append(tuple(box))
    return [sliced(inner, box) for box in boxes if box[step.axis].start < box[step.axis].stop]


def with_record(state: StateDict) -> Mapping[str, Any]:
    """Return the leaves by key, those with a record as trimmed ones; LayoutError if it is wrong."""
    text = state.metadata.get(RECORD)
    if text is None:
        return state.entry
    try:
        entries = json.loads(text)
        found = {
            key: _restored(state.entry[key], entry)
            for key, entry in entries.items()
            if key in state.entry  # it may have been renamed or left out since
        }
    except _WRONG as error:
        raise LayoutError(
            f"{RECORD} in the metadata does not say what was cut off these tensors "
            f"({type(error).__name__}: {error}); remove that entry, and zeros take their place"
        ) from None
    return {**state.entry, **found}


def _restored(leaf: Any, entry: Mapping[str, Any]) -> Any:
    """Return a leaf as one that was cut from what the record says, if it is not known from what."""
    if whole_before(leaf)[1] is not None:
        return leaf
    if isinstance(leaf, BlockTensor):
        return BlockTensor(leaf.block_type, _restored(leaf.raw, entry), leaf.shape)
    known = spec(leaf)
    axis, start, extent = (int(entry[name]) for name in ("axis", "start", "extent"))
    kept = known.shape[axis]
    lengths = [start, extent - start - kept]
    if axis < 0 or min(lengths) < 0:
        raise LayoutError(f"its range {start} to {start + kept} is not within {extent}")
    if "values" not in entry and sum(lengths) > max(kept, LONGEST):
        raise LayoutError(f"it claims that {kept} elements of an axis were {extent}")
    if "values" not in entry:
        value = float(entry["value"])
        whole = derive(Padded(axis, lengths[0], lengths[1], value), [leaf])
        return Derived(Trimmed(axis, start, start + kept, value), [whole], known.shape, known.dtype)
    shapes = [(*known.shape[:axis], length, *known.shape[axis + 1 :]) for length in lengths]
    then = DTYPES[entry["dtype"]]
    if then != known.dtype and not then.kind == known.dtype.kind == "float":
        return leaf  # it was packed or unpacked since
    ends = _ends(entry["values"], shapes, numpy_dtype(then))
    before, after = (each.astype(numpy_dtype(known.dtype)) for each in ends)
    whole = derive(Join(axis), [before, leaf, after])
    return Derived(Trimmed(axis, start, start + kept), [whole], known.shape, known.dtype)


def _ends(text: str, shapes: list[tuple[int, ...]], dtype: Any) -> tuple[Any, Any]:
    """Return the arrays before and after what is kept."""
    import numpy as np

    counts = [math.prod(shape) for shape in shapes]
    data = base64.b64decode(text, validate=True)
    if len(data) != sum(counts) * dtype.itemsize:
        raise LayoutError(f"it has {len(data)} bytes for {sum(counts)} elements of {dtype}")
    flat = np.frombuffer(data, dtype)
    return flat[: counts[0]].reshape(shapes[0]), flat[counts[0] :].reshape(shapes[1])
