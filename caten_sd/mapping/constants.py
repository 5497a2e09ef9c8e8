"""Tensors of one value that a layout does not store: made where needed, checked where left out."""

from __future__ import annotations

import re
from typing import Any

from caten_sd.errors import LayoutError, NoApplicableMethodError
from caten_sd.errors.printable import one_line
from caten_sd.mapping.axis_sizes import Lookup, Numbers
from caten_sd.mapping.rows import Constant, Lacks
from caten_sd.state.compare import same_values
from caten_sd.state.dtype import DTYPES, numpy_dtype
from caten_sd.state.leaf import Numpy, as_array, spec, spec_or_none
from caten_sd.state.same_place import same_place

_AXIS = re.compile(r"axis ([0-9])")


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


def value_of(constant: Constant, like: Any, lookup: Lookup) -> float:
    """Return the value of a constant as a number; LayoutError if nothing gives it.

    >>> import numpy
    >>> value_of(Constant("axis 0", like="w"), numpy.ones((4, 3)), len)
    4
    """
    if not isinstance(constant.value, str):
        return constant.value
    if isinstance(lookup, Numbers):
        for name in constant.unless:
            if stated := lookup.find(name):
                raise LayoutError(
                    f"{name} is {one_line(str(stated), 60)!r} in the configuration or the "
                    f"metadata, so {constant.value} does not give this tensor; choose a layout "
                    f"that has no need of it"
                )
    axis = _AXIS.fullmatch(constant.value)
    if axis is None:
        return lookup(constant.value)
    shape = spec(like).shape if spec_or_none(like) else ()
    if int(axis[1]) >= len(shape):
        raise LayoutError(f"{constant.like} gives the value, and it has no {constant.value}")
    return shape[int(axis[1])]


def check_left_out(lacks: Lacks, leaf: Any, like: Any, lookup: Lookup, where: str) -> None:
    """Refuse to leave out a tensor that is not the constant, or the other, that it has to be."""
    constant = lacks.constant
    if lacks.tied and not _is_equal(leaf, like):
        raise LayoutError(
            f"{where}: it does not have the values of {lacks.tied}, as it must to be left out "
            f"({lacks.reason}); choose a layout that stores it"
        )
    if constant is None:
        return
    try:
        value = value_of(constant, like, lookup)
    except LayoutError as error:
        raise LayoutError(f"{where}: {error}") from None
    if not is_constant(leaf, value):
        raise LayoutError(
            f"{where}: it is not {value:g} throughout, as it must be to be left out "
            f"({lacks.reason}); choose a layout that stores it"
        )


def _is_equal(leaf: Any, other: Any) -> bool:
    """Return whether two leaves have the same values; those without values pass."""
    specs = [spec_or_none(each) for each in (leaf, other)]
    if any(known is not None and not known.has_values for known in specs):
        return True
    return other is not None and (same_place(leaf, other) or same_values(leaf, other))


def made(constant: Constant, like: Any, value: float) -> Any:
    """Return the tensor of a value, in the dtype and the shape of another.

    LayoutError if that one does not have the axes, or its dtype cannot hold the value.

    >>> import numpy
    >>> made(Constant(0.0, like="w", axes=(0,)), numpy.ones((2, 3), "float16"), 0.0)
    array([0., 0.], dtype=float16)
    """
    import numpy as np

    known = spec(like)
    axes = range(len(known.shape)) if constant.axes is None else constant.axes
    if any(axis >= len(known.shape) for axis in axes):
        raise LayoutError(f"a tensor of shape {known.shape} does not have the axes {constant.axes}")
    dtype = DTYPES["float32"] if known.dtype.kind == "block" else known.dtype
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.full([known.shape[axis] for axis in axes], value, numpy_dtype(dtype))
    if not has_only(array, value):
        raise LayoutError(
            f"a tensor like {constant.like} is {dtype.name}, which cannot hold "
            f"{value:g}; correct the constant of the layout, or convert that tensor first"
        )
    return array
