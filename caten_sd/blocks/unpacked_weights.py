"""Packed weights as floats: each with its companions becomes one lazy leaf, computed when read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from caten_sd.blocks.packing_schemes import PackingScheme, Parts, scheme_of
from caten_sd.blocks.stated_quantization import NAMES, Stated, quantization_of
from caten_sd.errors import StateDictError
from caten_sd.state.dtype import DTYPES
from caten_sd.state.leaf import Numpy, as_array, dequantize
from caten_sd.state.packed_names import plain_name, role_of
from caten_sd.state.packed_weights import packed_groups
from caten_sd.state.row_leaf import RowLeaf, is_range
from caten_sd.state.state_dict import StateDict, as_state_dict
from caten_sd.wording import counted, first_few


class UnpackedWeight(RowLeaf):
    """The float32 values of a packed weight; ``parts`` are its leaves by their roles."""

    __slots__ = ("dtype", "parts", "scheme", "shape")

    def __init__(self, scheme: PackingScheme, parts: Parts, rows: int | None = None) -> None:
        self.scheme, self.parts, self.dtype = scheme, dict(parts), DTYPES["float32"]
        self.shape = scheme.shape if rows is None else (rows, *scheme.shape[1:])

    def origins(self) -> tuple[Any, ...]:
        """Return the packed weight and what it is packed with."""
        return tuple(self.parts.values())

    @property
    def rows_together(self) -> int:
        """How many rows cannot be cut from one another."""
        return self.scheme.rows_together

    @property
    def times_read(self) -> int:
        """How many times all rows, a few at a time, read a byte of the packed weight."""
        return self.scheme.times_read

    def __getitem__(self, index: Any) -> Any:
        """Return a lazy slice, for which only what it is packed in is read."""
        together = self.scheme.columns_together
        box = index if isinstance(index, tuple) else ()
        if not together or len(box) < 2 or not all(map(is_range, box)):
            return super().__getitem__(index)
        rows, columns, *rest = box
        start = columns.start // together * together
        stop = min(-(-columns.stop // together) * together, self.shape[1])
        if start >= stop or (start, stop) == (0, self.shape[1]):
            return super().__getitem__(index)
        scheme, parts = self.scheme.cut_columns(self.parts, start, stop)
        inner = slice(columns.start - start, columns.stop - start)
        return UnpackedWeight(scheme, parts, self.shape[0])[(rows, inner, *rest)]

    def rows(self, start: int, stop: int) -> UnpackedWeight:
        """Return some rows, for which only what they are packed in is read."""
        scheme, parts = self.scheme.of_rows(start, stop), self.scheme.cut(self.parts, start, stop)
        return UnpackedWeight(scheme, parts, stop - start)


@as_array.register(Numpy, UnpackedWeight)
def _by_numpy(kind: Numpy, leaf: UnpackedWeight, /) -> Any:
    import numpy as np

    if 0 in leaf.shape:  # numpy cannot tell the length of an axis of nothing
        return np.zeros(leaf.shape, np.float32)
    arrays = {role: as_array(kind, each) for role, each in leaf.parts.items()}
    with np.errstate(all="ignore"):  # a NaN or infinite scale is what the file holds
        values = dequantize(leaf.scheme, arrays)
    return values[: leaf.shape[0]]  # the last byte may be half empty


@attrs.frozen
class PackedGroup:
    """A packed weight: its key, the plain name, all its leaves by role, and its scheme if known."""

    key: str
    name: str
    keys: Mapping[str, str]  # the role of each key that belongs to it
    scheme: PackingScheme | None


def packed_weights(
    state_dict: StateDict, chosen: Callable[[str, str], bool] = lambda key, name: True
) -> Iterator[PackedGroup]:
    """Yield the packed weights whose key and plain name are ``chosen``.

    StateDictError if config.json contradicts the shapes of one.
    """
    for key, others in packed_groups(state_dict).items():
        name = plain_name(key)
        roles = {each: role_of(each, name) for each in (key, *others)}
        keys = {each: role for each, role in roles.items() if role is not None}
        if not chosen(key, name):
            continue
        parts = {role: state_dict[each] for each, role in keys.items()}
        stated = Stated.of(state_dict.config, name)
        scheme = scheme_of(key, parts, stated) if len(keys) == len(roles) else None
        yield PackedGroup(key, name, keys, scheme)


def to_floats(state_dict: Mapping[str, Any]) -> StateDict:
    """Return the state dict with float32 leaves for all packed weights, computed when read.

    These are weights of GPTQ, AWQ, bitsandbytes, MLX, HQQ, compressed-tensors, MXFP4, NVFP4, quanto
    in 8 bits and fp8 with scales. Their scales and whatever else they are packed with are left out.
    The config.json next to the file is compared with the shapes. StateDictError if one is packed in
    another way.

    >>> import numpy
    >>> packed = {"fc.weight": numpy.full((1, 2), 127, "i1"), "fc.SCB": numpy.ones(1, "f4")}
    >>> to_floats(packed)["fc.weight"].numpy().tolist()
    [[1.0, 1.0]]
    """
    state = as_state_dict(state_dict)
    found = list(packed_weights(state))
    if unknown := [group.key for group in found if group.scheme is None]:
        raise StateDictError(
            f"{counted(len(unknown), 'packed weight has', 'packed weights have')} no scheme that "
            f"is known: {first_few(unknown, 3)}; dequantize them with the tool that packed them"
        )
    return with_floats(state, found)


def with_floats(state: StateDict, groups: list[PackedGroup]) -> StateDict:
    """Return the state dict with a float leaf for each of these packed weights."""
    made: dict[tuple[Any, ...], UnpackedWeight] = {}  # tied keys still share one leaf
    names: dict[str, tuple[str, Any]] = {}
    gone: set[str] = set()
    for group in groups:
        if group.scheme is None:
            continue
        parts = {role: state[key] for key, role in group.keys.items()}
        leaf = UnpackedWeight(group.scheme, parts)
        names[group.key] = (
            group.name,
            made.setdefault((group.scheme, *map(id, parts.values())), leaf),
        )
        gone |= group.keys.keys() - {group.key}
        if group.name != group.key and group.name in state:
            raise StateDictError(
                f"{group.key} would become {group.name}, which is there, too; leave one of them out"
            )
    if not names:
        return state
    entry = dict(names.get(key, (key, leaf)) for key, leaf in state.items() if key not in gone)
    result = state.with_entry(entry)
    if isinstance(state.config, Mapping) and quantization_of(state.config):
        result.config = {key: each for key, each in state.config.items() if key not in NAMES}
    return result


def quantization_notes(state_dict: StateDict) -> list[str]:
    """Return how the weights are packed, with counts, or what contradicts what is known of it."""
    try:
        found = [group.scheme for group in packed_weights(state_dict)]
    except StateDictError as error:
        return [f"quantized: {error}"]
    method = Stated.of(state_dict.config, "").method
    other = f"{method}, as config.json states" if method else "in a way that is not known"
    kinds = Counter(str(scheme) if scheme else other for scheme in found)
    return [f"quantized: {kind}; {counted(count, 'weight')}" for kind, count in kinds.most_common()]
