"""A format in one file, as a third party would write it: its ``read`` returns plain arrays."""

import json
import math

import numpy as np

from caten_sd import FormatError, StateDictError, extend
from caten_sd.extend import Contents, Format, Numpy, Source, as_array, stored_specs

CODES = {"float64": "<f8", "float32": "<f4", "float16": "<f2", "int64": "<i8", "uint8": "<u1"}


class Toy(Format):
    name = "toy"
    suffixes = (".toy",)
    sources = ("file",)


@extend.recognize.register(Toy, Source)
def recognize_toy(format, source, /):
    return "its first bytes" if source.head(4) == b"TOY\n" else None


@extend.read.register(Toy, Source)
def read_toy(format, source, /):
    at, leaves = 12 + int.from_bytes(source.read(4, 8), "little"), {}
    try:
        arrays, metadata = json.loads(source.read(12, at - 12))
        for key, dtype, shape in arrays:
            data = source.read(at, np.dtype(CODES[dtype]).itemsize * math.prod(shape))
            leaves[key] = np.ndarray(shape, CODES[dtype], data)
            at += len(data)
        return Contents(leaves, dict(metadata))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise FormatError(source.name, f"it is damaged ({error})", "get it again") from error


@extend.write.register(Toy)
def write_toy(format, target, state_dict, /):
    specs = stored_specs(format, state_dict, lambda known: known.dtype.name in CODES)
    for key in state_dict.ties:
        raise StateDictError(f"a toy file cannot hold {key!r}, which is tied; copy its leaf")
    arrays = [(key, known.dtype.name, known.shape) for key, known in specs.items()]
    header = json.dumps((arrays, state_dict.metadata)).encode()
    target.write(b"TOY\n" + len(header).to_bytes(8, "little") + header)
    for key, known in specs.items():
        array = as_array(Numpy(), state_dict[key])
        target.write(array.astype(CODES[known.dtype.name]).tobytes())
