"""NF4 and FP4 of bitsandbytes: two numbers in a byte, the high one first, each an index of a map.

The value is quant_map[number] * absmax of its block. Those may be packed too, in blocks of their
own: nested_quant_map[absmax] * nested_absmax + nested_offset.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from caten_sd.blocks.packing_schemes import PackingScheme, Parts, along, are
from caten_sd.errors import FormatError, StateDictError
from caten_sd.state.indexing import is_shape, is_size
from caten_sd.state.json_text import parse_json
from caten_sd.state.leaf import Numpy, as_array, dequantize, spec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from caten_sd.blocks.stated_quantization import Stated

CUT = {"", ".absmax", ".nested_absmax"}
STATE = ".quant_state.bitsandbytes__"
FLAT, NESTED = {"", ".absmax", ".quant_map"}, {".nested_absmax", ".nested_quant_map"}
MOST = 1 << 16  # bytes of a quant_state


@attrs.frozen(slots=False)
class Bitsandbytes4(PackingScheme):
    """A weight that bitsandbytes packed in 4 bits; ``nested`` is the block of scales, or 0."""

    method = "bitsandbytes"

    kind: str
    block: int
    nested: int
    offset: float

    @classmethod
    def of(cls, key: str, parts: Parts, stated: Stated) -> Self | None:
        """Return the scheme, which the JSON of its quant_state describes."""
        states = [role for role in parts if role.startswith(STATE)]
        if len(states) != 1 or parts.keys() - {*states} not in (FLAT, FLAT | NESTED):
            return None
        maps = [leaf for role, leaf in parts.items() if role.endswith(("_map", "nested_absmax"))]
        if not are("int", parts[""], bits=8) or not are("float", *maps):
            return None
        if not all(_is_flat(parts[role]) for role in CUT & parts.keys()):
            return None
        said = _description(f"{key}{states[0]}", parts[states[0]])
        nested = max(said["nested_blocksize"], 1) if parts.keys() > FLAT | NESTED else 0
        block, shape = said["blocksize"], tuple(said["shape"])
        _check(key, parts, math.prod(shape), block, nested)
        values = block * (nested or 1)
        row = max(math.prod(shape[1:]), 1)
        kind = states[0].removeprefix(STATE)
        words = f"{kind}, blocks of {block}{' with packed scales' if nested else ''}"
        rows = values // math.gcd(values, row)
        return cls(shape, 4, words, rows, kind, block, nested, said["nested_offset"])

    def cut(self, parts: Parts, start: int, stop: int) -> dict[str, Any]:
        """Return the bytes of the rows, and the scales of their blocks."""
        row = max(math.prod(self.shape[1:]), 1)
        first, end = start * row, stop * row
        found = {**parts, "": along(parts[""], 0, first // 2, -(-end // 2))}
        first, end = first // self.block, -(-end // self.block)
        found[".absmax"] = along(parts[".absmax"], 0, first, end)
        if self.nested:
            first, end = first // self.nested, -(-end // self.nested)
            found[".nested_absmax"] = along(parts[".nested_absmax"], 0, first, end)
        return found


def _is_flat(leaf: Any) -> bool:
    """Return whether all elements are along the first axis, where a range of them is cut out."""
    shape = spec(leaf).shape
    return shape[:1] == (math.prod(shape),)


def _description(key: str, leaf: Any) -> dict[str, Any]:
    """Return what the JSON states, with every number checked."""
    if spec(leaf).nbytes > MOST:
        raise StateDictError(f"{key} has {spec(leaf).nbytes} bytes of JSON; get the file again")
    found: Any = None
    with contextlib.suppress(ValueError, RecursionError, FormatError):
        found = parse_json(key, as_array(Numpy(), leaf).tobytes())
    said: dict[str, Any] = {"nested_offset": 0.0, "nested_blocksize": 0, "shape": None}
    said.update(found if isinstance(found, Mapping) else {})
    block, nested, shape = said.get("blocksize"), said["nested_blocksize"], said["shape"]
    known = is_shape(shape) and is_size(block) and is_size(nested) and block and block % 2 == 0
    if not known or not shape or type(said["nested_offset"]) is not float:
        raise StateDictError(
            f"{key} does not state the shape and the block size of its weight; get the file again"
        )
    return said


def _has_scales(absmax: Any, nested: int) -> bool:
    """Return whether scales are floats, or bytes if they are packed themselves."""
    return are("int", absmax, bits=8) if nested else are("float", absmax)


def _check(key: str, parts: Parts, count: int, block: int, nested: int) -> None:
    """Refuse a description that the sizes of the tensors contradict."""
    blocks = -(-count // block)
    expected = {"": -(-count // 2), ".absmax": blocks, ".quant_map": 16}
    if nested:
        expected |= {".nested_absmax": -(-blocks // nested), ".nested_quant_map": 256}
    for role, size in expected.items():
        found = math.prod(spec(parts[role]).shape)
        if found != size or (role == ".absmax" and not _has_scales(parts[role], nested)):
            raise StateDictError(
                f"{key}{role} has {found} elements, and the quant_state of {key} needs {size}; "
                f"get the file again"
            )


@dequantize.register(Bitsandbytes4)
def _values(scheme: Bitsandbytes4, parts: Parts, /) -> NDArray[Any]:
    import numpy as np

    raw = np.asarray(parts[""]).reshape(-1).view(np.uint8)
    table = np.asarray(parts[".quant_map"]).astype(np.float32).reshape(-1)
    scales = _scales(scheme, parts)
    row = max(math.prod(scheme.shape[1:]), 1)
    numbers = np.empty((raw.size, 2), np.uint8)
    numbers[:, 0], numbers[:, 1] = raw >> 4, raw & 15
    values: NDArray[Any] = table[numbers.reshape(-1)]
    whole = values.size // scheme.block * scheme.block
    blocks = values[:whole].reshape(-1, scheme.block)
    blocks *= scales[: len(blocks), None]
    values[whole:] *= scales[-1] if scales.size else 1
    count = values.size // row * row
    return values[:count].reshape(-1, *scheme.shape[1:])


def _scales(scheme: Bitsandbytes4, parts: Parts) -> NDArray[Any]:
    """Return the scale of each block."""
    import numpy as np

    scales = np.asarray(parts[".absmax"]).reshape(-1)
    if not scheme.nested:
        return scales.astype(np.float32)
    table = np.asarray(parts[".nested_quant_map"]).astype(np.float32).reshape(-1)
    found: NDArray[Any] = table[scales.view(np.uint8)]
    outer = np.asarray(parts[".nested_absmax"]).astype(np.float32).reshape(-1)
    found *= outer[np.arange(found.size) // scheme.nested]
    found += np.float32(scheme.offset)
    return found
