"""What wrappers leave in a file's keys: found where a key as it stands names nothing of the model.

DataParallel, DistributedDataParallel and AveragedModel write ``module.``, torch.compile
``_orig_mod.``, FSDP ``_fsdp_wrapped_module.``, activation checkpointing
``_checkpoint_wrapped_module.`` and Lightning Fabric ``_forward_module.``, nested in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
MAX_NESTED = 6  # beyond it only all of them are taken off, as each adds a doubling


def unwrapped(key: str, named: Callable[[str], str | None]) -> tuple[str, str] | None:
    """Return what a file's key names without its wrappers, and what was stripped from it.

    ``named`` tells which slot a key names. None where no wrapper hides one; LoadError where it
    could be two, as a child that is really called ``module`` stays.

    >>> unwrapped("module._orig_mod.fc.bias", {"fc.bias": "fc.bias"}.get)
    ('fc.bias', 'module._orig_mod.')
    """
    found = {
        slot: stripped for rest, stripped in _without(key) if (slot := named(rest)) is not None
    }
    if len(found) > 1:
        first, second, *_ = found
        raise LoadError(
            f"{key} of the file could be {first} or {second} of the model, as either may lie in a "
            f"wrapper; nothing was changed, so rename the key"
        )
    return next(iter(found.items()), None)


def _without(key: str) -> Iterator[tuple[str, str]]:
    """Yield the key without some of its wrapper segments, and those segments."""
    parts = key.split(".")
    places = [at for at, part in enumerate(parts) if part in WRAPPERS]
    sizes = range(1, len(places) + 1) if len(places) <= MAX_NESTED else [len(places)]
    for size in sizes:
        for gone in combinations(places, size):
            rest = ".".join(part for at, part in enumerate(parts) if at not in gone)
            yield rest, "".join(f"{parts[at]}." for at in gone)
