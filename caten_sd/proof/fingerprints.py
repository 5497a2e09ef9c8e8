"""Fingerprints of contents: equal for the same values in any order, and sums of those of parts.

A fingerprint is the sum of a mixed number for each element's bits. So that a tensor and its copy
in a narrower dtype meet, there is one for each of the dtypes that the tensor can be rounded to.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.dtype import DTYPES, DType, numpy_dtype
from caten_sd.state.leaf import Numpy, Spec, as_array
from caten_sd.state.parts import parts

_MASK = (1 << 64) - 1
_RUN = 1 << 15  # elements that are mixed at a time, which stay in the processor's cache
_SMALL = 1 << 12  # elements of a tensor that is mixed together with others
_BATCH = 1 << 18  # elements of a batch of those
# The dtypes of floats from wide to narrow; a tensor is rounded to those that follow its own.
_WIDE_FIRST = ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")


class Fingerprint(NamedTuple):
    """How many elements there are, the dtypes that they are compared in, and the sum for each.

    ``value`` is the bits of the elements where all are the same, else None.
    """

    elements: int
    levels: tuple[str, ...]
    sums: tuple[int, ...]
    value: int | None

    def sum(self, level: str) -> int | None:
        """Return the sum for a dtype, or None if the elements are not compared in it."""
        return self.sums[self.levels.index(level)] if level in self.levels else None

    @property
    def is_constant(self) -> bool:
        """Whether all elements have the same bits."""
        return self.value is not None


def level_of(dtype: DType) -> str:
    """Return the dtype whose values a tensor has: that of floats for blocks.

    >>> level_of(DTYPES["bool"]), level_of(DTYPES["bfloat16"])
    ('int64', 'bfloat16')
    """
    if dtype.kind == "block":
        return "float32"
    return "int64" if dtype.kind in ("int", "uint", "bool") else dtype.name


def levels_of(dtype: DType, known: Collection[str]) -> tuple[str, ...]:
    """Return the dtypes among the known ones that values are compared in, from wide to narrow.

    >>> levels_of(DTYPES["float32"], {"float64", "float32", "bfloat16"})
    ('float32', 'bfloat16')
    """
    own = level_of(dtype)
    if own not in _WIDE_FIRST:
        return (own,)
    narrower = _WIDE_FIRST[_WIDE_FIRST.index(own) :]
    return tuple(level for level in narrower if level == own or level in known)


def ordered_levels(levels: Iterable[str]) -> list[str]:
    """Return levels from wide to narrow, those that are not floats last."""
    rank = {level: n for n, level in enumerate(_WIDE_FIRST)}
    return sorted(set(levels), key=lambda level: (rank.get(level, len(rank)), level))


def fingerprints(
    leaves: Mapping[str, Any], specs: Mapping[str, Spec], known: Collection[str]
) -> dict[str, Fingerprint]:
    """Return the fingerprint of each leaf, read in pieces; tied leaves are read once."""
    found: dict[int, Fingerprint] = {}
    waiting: dict[DType, list[Any]] = {}
    for key, leaf in leaves.items():
        dtype, shape = specs[key].dtype, specs[key].shape
        if id(leaf) in found:
            continue
        if math.prod(shape) > _SMALL or dtype.kind == "block":
            found[id(leaf)] = _large(leaf, dtype, known)
            continue
        found[id(leaf)] = Fingerprint(0, (), (), None)
        batch = waiting.setdefault(dtype, [])
        batch.append(leaf)
        if len(batch) * _SMALL >= _BATCH:
            found.update(_batch(waiting.pop(dtype), dtype, known))
    for dtype, batch in waiting.items():
        found.update(_batch(batch, dtype, known))
    return {key: found[id(leaf)] for key, leaf in leaves.items()}


def _large(leaf: Any, dtype: DType, known: Collection[str]) -> Fingerprint:
    count, value, same = 0, None, True
    sums = dict.fromkeys(levels_of(dtype, known), 0)
    for part in parts(leaf):
        array = flat(part)
        for start in range(0, array.size, _RUN):
            run = array[start : start + _RUN]
            for level in sums:
                bits = bits_of(run, level)
                sums[level] += int(mixed(bits).sum())
                if same and level == next(iter(sums)):
                    value = int(bits[0]) if value is None else value
                    same = bool((bits == value).all())
        count += array.size
    totals = tuple(total & _MASK for total in sums.values())
    return Fingerprint(count, tuple(sums), totals, value if same else None)


def _batch(leaves: Sequence[Any], dtype: DType, known: Collection[str]) -> dict[int, Fingerprint]:
    """Return the fingerprints of small leaves, which are mixed in one call."""
    import numpy as np

    arrays = [flat(leaf) for leaf in leaves]
    full = [(leaf, array) for leaf, array in zip(leaves, arrays, strict=True) if array.size]
    levels = levels_of(dtype, known)
    found = {id(leaf): Fingerprint(0, levels, (0,) * len(levels), 0) for leaf in leaves}
    if not full:
        return found
    sizes = [array.size for _, array in full]
    starts = np.cumsum([0, *sizes[:-1]])
    joined = np.concatenate([array for _, array in full])
    sums = [np.add.reduceat(mixed(bits_of(joined, level)), starts).tolist() for level in levels]
    totals = list(zip(*sums, strict=True))
    bits = bits_of(joined, level_of(dtype))
    least = np.minimum.reduceat(bits, starts).tolist()
    most = np.maximum.reduceat(bits, starts).tolist()
    for n, (leaf, _) in enumerate(full):
        value = int(least[n]) if least[n] == most[n] else None
        found[id(leaf)] = Fingerprint(sizes[n], levels, totals[n], value)
    return found


def flat(leaf: Any) -> Any:
    """Return the elements of a leaf as a flat array, in the order of memory."""
    return native(leaf).ravel(order="K")


def native(leaf: Any) -> Any:
    """Return a leaf as an array in the byte order of this machine."""
    array = with_bytes_copied(as_array, Numpy(), leaf)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def bits_of(array: Any, level: str) -> Any:
    """Return the bits of values as a dtype has them, as unsigned integers."""
    import numpy as np

    if array.dtype.name != level:
        with np.errstate(all="ignore"):
            array = array.astype(numpy_dtype(DTYPES[level]))
    size = min(array.dtype.itemsize, 8)
    return array.view(f"u{size}")


def mixed(bits: Any) -> Any:
    """Return a number for each of these bits, in which every bit of them counts."""
    import numpy as np

    if bits.itemsize <= 2:
        return np.take(_table(bits.itemsize), bits)
    return _splitmix(bits.astype(np.uint64))


@functools.cache
def _table(size: int) -> Any:
    """Return the number of every value of one or two bytes, which is sooner looked up."""
    import numpy as np

    return _splitmix(np.arange(1 << (8 * size), dtype=np.uint64))


def _splitmix(numbers: Any) -> Any:
    """Mix numbers in place, as splitmix64 does."""
    import numpy as np

    rest = np.empty_like(numbers)
    numbers += np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        np.right_shift(numbers, np.uint64(shift), out=rest)
        numbers ^= rest
        if factor > 1:
            numbers *= np.uint64(factor)
    return numbers
