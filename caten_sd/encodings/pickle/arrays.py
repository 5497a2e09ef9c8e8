"""numpy's arrays and scalars in a pickle become lazy leaves over the pickle's own file.

An array whose dtype no tensor has (text, objects, records) stays an inert Instance.
"""

from __future__ import annotations

import math
from typing import Any

from caten_sd.encodings.pickle.inert_values import Instance, Reference
from caten_sd.state.backing import BytesBacking
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.indexing import c_strides, is_size
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.source import Source
from caten_sd.wording import counted

_KINDS = {"f": "float", "i": "int", "u": "uint", "b": "bool", "c": "complex"}


def array_leaf(made: Instance) -> LazyTensor | None:
    """Return the leaf of a rebuilt ``numpy.ndarray``; None for another object or dtype.

    Its state is (version, shape, dtype, whether it is in Fortran order, bytes).
    """
    if not made.name.endswith(".multiarray._reconstruct") or type(made.state) is not tuple:
        return None
    if len(made.state) != 5:
        raise ValueError("the state of an array does not have 5 items")
    _, shape, dtype, fortran, data = made.state
    return _leaf(data, dtype, shape, bool(fortran))


def is_array_of_objects(made: Instance) -> bool:
    """Return whether this is a rebuilt array of Python objects, which its state lists."""
    state = made.state
    is_array = made.name.endswith(".multiarray._reconstruct") and type(state) is tuple
    return is_array and len(state) == 5 and type(state[4]) is list


def _leaf(data: Any, dtype: Any, shape: Any, fortran: bool) -> LazyTensor | None:
    element, order = _element(dtype)
    if type(data) is str:
        data = data.encode()  # a string of Python 2 arrives as text if it is valid text
    if type(data) in (bytes, bytearray):
        data = Source("a pickled array", BytesBacking(data), 0, len(data))
    if element is None or type(data) is not Source:
        return None
    if type(shape) is not tuple or len(shape) > 64 or not all(map(is_size, shape)):
        raise ValueError("an array has no shape")
    if element.nbytes(math.prod(shape)) != data.size:
        raise ValueError(f"an array of {list(shape)} {element} has {counted(data.size, 'byte')}")
    strides = tuple(reversed(c_strides(shape[::-1]))) if fortran and len(shape) > 1 else None
    return LazyTensor(data, 0, element, shape, strides, order)


def _element(dtype: Any) -> tuple[DType | None, str]:
    """Return the dtype of a rebuilt ``numpy.dtype``, or None, and its byte order."""
    if type(dtype) is not Instance or dtype.name != "numpy.dtype" or not dtype.args:
        raise ValueError("an array has no dtype")
    code = dtype.args[0]
    if type(code) is Reference:  # ml_dtypes pickles its classes by name
        return DTYPES.get(code.name.removeprefix("ml_dtypes.")), "<"
    if type(code) is not str or not code.isascii():
        return None, "<"
    order = code[0] if code[:1] in ("<", ">") else "<"
    if type(dtype.state) is tuple and len(dtype.state) > 1 and dtype.state[1] == ">":
        order = ">"
    letters, size = code.lstrip("<>=|")[:1], code.lstrip("<>=|")[1:]
    if letters not in _KINDS or not size.isdecimal() or len(size) > 2:
        return None, order
    name = "bool" if letters == "b" else f"{_KINDS[letters]}{8 * int(size)}"
    return DTYPES.get(name), order


def _scalar(dtype: Any, data: Any = b"") -> LazyTensor | Instance:
    """Return a numpy scalar as a leaf without axes."""
    made = _leaf(data, dtype, (), fortran=False)
    if made is None and type(dtype.args[0]) is str and "O" in dtype.args[0]:
        raise ValueError("a scalar of dtype object holds a pickle of its own")
    return Instance("numpy.scalar", (dtype, data)) if made is None else made


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> LazyTensor | Instance:
    """Return an array that was pickled by protocol 5."""
    made = _leaf(data, dtype, shape, fortran=order == "F")
    return Instance("numpy.ndarray", (data, dtype, shape, order)) if made is None else made


def _of_dill(function: Any, args: Any, state: Any, attributes: Any = None) -> Instance:
    """Return what dill's own function makes of an array, with the state that it sets."""
    if type(function) is not Reference or type(args) is not tuple:
        raise ValueError("an array is not made by a function")
    return Instance(function.name, args, state)


NUMPY: dict[tuple[str, str], Any] = {
    (f"numpy.{core}.{module}", name): make
    for core in ("core", "_core")
    for module, name, make in (
        ("multiarray", "scalar", _scalar),
        ("numeric", "_frombuffer", _from_buffer),
    )
} | {("dill._dill", "_create_array"): _of_dill}
