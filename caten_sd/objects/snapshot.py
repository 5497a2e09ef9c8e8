"""A copy of a state dict: later training does not change it, as it changes a view."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from caten_sd.objects.extract import get_state_dict
from caten_sd.objects.place import can_be_replaced, replacement
from caten_sd.objects.slots import Kinds
from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.keys import KeyMapper, pytorch_style_dict_key
from caten_sd.state.leaf import LazyLeaf, Numpy, as_array, spec_or_none
from caten_sd.state.options import checked_options
from caten_sd.state.state_dict import StateDict


@checked_options()
def snapshot(
    obj: Any, *, key_mapper: KeyMapper = pytorch_style_dict_key, include: Kinds = ()
) -> StateDict:
    """Return a copy of the state of an object; it shares no memory, and tied names stay tied.

    A leaf of a type for which no ``replacement`` is taught becomes a numpy array. ``include`` is
    that of ``get_state_dict``.

    >>> import numpy
    >>> model = {"w": numpy.zeros(2)}
    >>> before = snapshot(model)
    >>> model["w"] += 1
    >>> before["w"].tolist()
    [0.0, 0.0]
    """
    state = get_state_dict(obj, key_mapper=key_mapper, include=include)
    copies: dict[str, Any] = {}
    for key, leaf in state.items():
        first = state.ties.get(key)
        copies[key] = copies[first] if first is not None else _copied(leaf)
    return state.with_entry(copies, paths=state.paths, ties=state.ties)


def _copied(leaf: Any) -> Any:
    if spec_or_none(leaf) is None:
        return deepcopy(leaf)  # extra state, or a lazy module's parameter
    plain = leaf.detach() if hasattr(leaf, "detach") else leaf  # a parameter's values only
    if isinstance(leaf, LazyLeaf) or not can_be_replaced(type(plain), type(plain)):
        return with_bytes_copied(lambda: as_array(Numpy(), leaf).copy())
    return replacement(plain, plain, copy=True)
