"""Tensors of one value that a layout does not store: made where needed, checked where left out."""

from __future__ import annotations

from typing import Any

from caten_sd.errors import LayoutError, NoApplicableMethodError
from caten_sd.mapping.rows import Constant, Lacks
from caten_sd.state.dtype import DTYPES, numpy_dtype
from caten_sd.state.leaf import Numpy, as_array, spec, spec_or_none


def is_constant(leaf: Any, value: float) -> bool:
    """Return whether all elements are this value; the leaf is read.

    A leaf without values, such as a placeholder or one of torch's meta device, passes.
    """
    known = spec_or_none(leaf)
    if known is None or not known.has_values:
        return known is not None
    try:
        array = as_array(Numpy(), leaf)
    except NoApplicableMethodError:
        return True
    return has_only(array, value)


def has_only(array: Any, value: float) -> bool:
    """Return whether all elements of an array are a value, as far as its floats can be the value.

    >>> import numpy
    >>> [has_only(numpy.array([0.1], dtype), 0.1) for dtype in ("float16", "int64")]
    [True, False]
    """
    import numpy as np

    if array.dtype.kind in "biu":
        return bool((array == value).all())
    with np.errstate(over="ignore"):
        rounded = array.dtype.type(value)
    return bool(np.isfinite(rounded) == np.isfinite(value) and (array == rounded).all())


def check_left_out(lacks: Lacks, leaf: Any, where: str) -> None:
    """Refuse to leave out a tensor that is not the constant that the layout says it is."""
    constant = lacks.constant
    if constant is not None and not is_constant(leaf, constant.value):
        raise LayoutError(
            f"{where}: it is not {constant.value:g} throughout, as it must be to be left out "
            f"({lacks.reason}); choose a layout that stores it"
        )


def made(constant: Constant, like: Any) -> Any:
    """Return the tensor, in the dtype and the shape of another.

    LayoutError if that one does not have the axes, or its dtype cannot hold the value.

    >>> import numpy
    >>> made(Constant(0.0, like="w", axes=(0,)), numpy.ones((2, 3), "float16"))
    array([0., 0.], dtype=float16)
    """
    import numpy as np

    known = spec(like)
    axes = range(len(known.shape)) if constant.axes is None else constant.axes
    if any(axis >= len(known.shape) for axis in axes):
        raise LayoutError(f"a tensor of shape {known.shape} does not have the axes {constant.axes}")
    dtype = DTYPES["float32"] if known.dtype.kind == "block" else known.dtype
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.full([known.shape[axis] for axis in axes], constant.value, numpy_dtype(dtype))
    if not has_only(array, constant.value):
        raise LayoutError(
            f"a tensor like {constant.like} is {dtype.name}, which cannot hold "
            f"{constant.value:g}; correct the constant of the layout, or convert that tensor first"
        )
    return array
