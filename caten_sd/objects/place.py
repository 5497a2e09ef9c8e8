"""Places: the arrays that slots hold now. Values are copied into them, or new arrays replace them.

A load is all or nothing: ``refusal`` is asked for all places before ``assign`` is called for the
first one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from caten_sd.dispatch.generic import generic
from caten_sd.errors import LoadError, NoApplicableMethodError
from caten_sd.state.leaf import as_array
from caten_sd.wording import a_or_an


@generic
def assign(place: Any, leaf: Any, /) -> None:
    """Copy the leaf's values into a place, which is what a slot of the model holds now.

    Every type that ``to_state_dict`` returns as a leaf is a place and needs a method. The shapes
    are equal when this is called; the dtype may have to be cast. After ``(setf tensor-buffer)``.
    """
    raise NotImplementedError


@generic
def refusal(place: Any, leaf: Any, /) -> str | None:
    """Return why the leaf cannot be copied into a place, or "" if that cannot fail.

    None means that it is not known, as for a type without a method: the load then tries the write
    on a copy of the place first. Asked by the plan, so neither is read or changed. A place that
    refuses itself, as a read-only array does, may still be replaced.
    """
    raise NotImplementedError


@generic
def replacement(
    place: Any, leaf: Any, /, *, dtype: Any = None, location: Any = None, copy: bool = False
) -> Any:
    """Return the leaf as a new object for the slot of ``place``: of its type, trained if it is.

    The object shares the leaf's memory unless a copy, another DType or another ``location`` (a
    ``map_location``) is asked for.
    """
    raise NotImplementedError


@refusal.register(object)
def _not_known(place: Any, leaf: Any, /) -> None:
    return None


@replacement.register(object)
def _of_the_same_kind(place: Any, leaf: Any, /, **options: Any) -> Any:
    asked = [f"{name}={value}" for name, value in options.items() if value not in (None, False)]
    if asked:
        raise LoadError(
            f"{a_or_an(type(place).__name__)} cannot be replaced by one with "
            f"{', '.join(asked)}; add a "
            f"method with @replacement.register({type(place).__name__})"
        )
    return as_array(place, leaf)


_UNTAUGHT = replacement.dispatch(object)


def can_be_replaced(place: type, leaf: type) -> bool:
    """Return whether a method is taught that makes a new object for places of this class."""
    return replacement.dispatch(place, leaf) is not _UNTAUGHT


def of_its_kind(place: Any, leaf: Any) -> Any:
    """Return the leaf as an array that the place takes; as it is, if nothing else is taught."""
    return conversion(type(place), type(leaf))(place, leaf)


def conversion(place: type, leaf: type) -> Callable[[Any, Any], Any]:
    """Return the function of a place and a leaf of these classes that `of_its_kind` calls."""
    try:
        return as_array.dispatch(place, leaf)
    except NoApplicableMethodError:
        return _as_it_is


def _as_it_is(place: Any, leaf: Any) -> Any:
    return leaf
