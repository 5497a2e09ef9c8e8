"""Prefixes that wrappers leave in a file's keys; stripped from keys that the model does not have.

DataParallel, DistributedDataParallel and AveragedModel write ``module.``, torch.compile
``_orig_mod.``, FSDP ``_fsdp_wrapped_module.``, activation checkpointing
``_checkpoint_wrapped_module.`` and Lightning Fabric ``_forward_module.``, nested in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from itertools import combinations

from caten_sd.errors import LoadError

WRAPPERS = frozenset(
    {
        "module",
        "_orig_mod",
        "_fsdp_wrapped_module",
        "_checkpoint_wrapped_module",
        "_forward_module",
    }
)
MAX_NESTED = 6  # with more, only all are stripped together: each one doubles the combinations


def unwrapped(key: str, named: Callable[[str], str | None]) -> tuple[str, str] | None:
    """Return the slot that a key names without its wrappers, and what was stripped; or None.

    ``named`` returns the slot that a key names. A child may really be called ``module``, so not
    every such segment is a wrapper's: LoadError if the key could name two slots.

    >>> unwrapped("module._orig_mod.fc.bias", {"fc.bias": "fc.bias"}.get)
    ('fc.bias', 'module._orig_mod.')
    """
    found = {
        slot: stripped for rest, stripped in _without(key) if (slot := named(rest)) is not None
    }
    if len(found) > 1:
        first, second, *_ = found
        raise LoadError(
            f"{key} of the file could be {first} or {second} of the model, depending on which of "
            f"its segments are wrappers; nothing was changed, so rename the key"
        )
    return next(iter(found.items()), None)


def shared_wrappers(keys: Collection[str], slots: Collection[str]) -> str:
    """Return the wrapper segments that begin all keys, and no slot.

    >>> shared_wrappers(["module._orig_mod.a.w", "module._orig_mod.b.w"], ["fc.w"])
    'module._orig_mod.'
    """
    found = ""
    while keys and (first := {key.partition(".")[0] for key in keys}) <= WRAPPERS:
        if len(first) > 1 or any(slot.partition(".")[0] in first for slot in slots):
            break
        found += f"{first.pop()}."
        keys = [key.partition(".")[2] for key in keys]
    return found


def _without(key: str) -> Iterator[tuple[str, str]]:
    """Yield the key without some of its wrapper segments, and those segments."""
    parts = key.split(".")
    places = [at for at, part in enumerate(parts) if part in WRAPPERS]
    sizes = range(1, len(places) + 1) if len(places) <= MAX_NESTED else [len(places)]
    for size in sizes:
        for gone in combinations(places, size):
            rest = ".".join(part for at, part in enumerate(parts) if at not in gone)
            yield rest, "".join(f"{parts[at]}." for at in gone)
