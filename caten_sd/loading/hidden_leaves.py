"""Objects that are not owners, whose leaves only a method of to_state_dict knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from caten_sd.objects.extract import attributes_of, to_state_dict
from caten_sd.objects.owner import slots_of
from caten_sd.state.leaf import spec


def hidden_in(obj: Any) -> Iterable[tuple[str, Any]]:
    """Return the attributes of an object in which only a method of to_state_dict finds leaves."""
    return attributes_of(obj).items() if hides_leaves(type(obj)) else ()


def hides_leaves(cls: type) -> bool:
    """Return whether only a method of to_state_dict knows the leaves in objects of this class."""
    if slots_of.dispatch(cls) is not slots_of.dispatch(object):
        return False
    if to_state_dict.dispatch(cls) is to_state_dict.dispatch(object):
        return False
    return not spec.methods(cls)
