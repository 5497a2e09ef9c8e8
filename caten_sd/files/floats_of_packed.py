"""The step of a conversion that makes floats of packed weights, where a dtype is asked for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from caten_sd.state.packed_weights import packed_groups
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import counted, first_few


class Floats(NamedTuple):
    """The state dict with floats, how many weights of each scheme became such, and notes."""

    state_dict: StateDict
    casts: Mapping[str, int]
    notes: tuple[str, ...] = ()


def floats_of_packed(state_dict: StateDict, dtype: Any) -> Floats:
    """Return float32 leaves for the packed weights that are to be cast; nothing is read.

    ``dtype`` is that of ``cast_floats``, whose patterns are compared with the key that the float
    has. What is packed in a way that is not known stays as it is, and a note says so.
    """
    if dtype is None or not packed_groups(state_dict):
        return Floats(state_dict, {})
    from caten_sd.blocks.unpacked_weights import packed_weights, with_floats  # few files have any

    groups = list(packed_weights(state_dict, lambda key, name: _is_cast(name, dtype)))
    known = [(group, scheme) for group in groups if (scheme := group.scheme)]
    unknown = [group.key for group in groups if group.scheme is None]
    notes = []
    if known:
        kinds = "; ".join(dict.fromkeys(str(scheme) for _, scheme in known))
        weights = counted(len(known), "packed weight")
        others = counted(sum(len(group.keys) - 1 for group, _ in known), "tensor")
        notes.append(
            f"{weights} became floats ({kinds}), without the {others} of scales and the like"
        )
    if unknown:
        stay = counted(len(unknown), "packed weight stays", "packed weights stay")
        notes.append(f"{stay} packed, in a way that is not known: {first_few(unknown, 3)}")
    casts = Counter(
        f"{scheme.method} {counted(scheme.bits, 'bit')} to float32" for _, scheme in known
    )
    return Floats(with_floats(state_dict, groups), casts, tuple(notes))


def _is_cast(name: str, dtype: Any) -> bool:
    """Return whether the first pattern that matches a key has a dtype for it."""
    if not isinstance(dtype, Mapping):
        return not _keeps(dtype)
    pattern = next((each for each in dtype if fnmatchcase(name, each)), None)
    return pattern is not None and not _keeps(dtype[pattern])


def _keeps(dtype: Any) -> bool:
    return isinstance(dtype, str) and dtype == "keep"
