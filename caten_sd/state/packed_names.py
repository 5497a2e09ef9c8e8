"""What a packed weight would be called as a float, and how the keys of its scales extend that."""

from __future__ import annotations

# How the key of a packed weight ends, and how it does as a float.
_ENDINGS = (
    ("qweight", "weight"),
    ("W_q", "weight"),
    ("_packed", ""),
    ("_blocks", ""),
    (".blocks", ""),
    ("._data._data", ""),
    ("._data", ""),
)


def plain_name(weight: str) -> str:
    """Return the key that a packed weight has as a float.

    >>> [plain_name(key) for key in ("fc.qweight", "fc.weight", "experts.up_blocks")]
    ['fc.weight', 'fc.weight', 'experts.up']
    """
    for ending, plain in _ENDINGS:
        if weight.endswith(ending):
            return weight.removesuffix(ending) + plain
    return weight


def role_of(key: str, name: str) -> str | None:
    """Return how a key extends a name: by an ending, or as a name next to it; None if neither.

    >>> [role_of(key, "a.weight") for key in ("a.weight_scale", "a.weight", "a.scales", "b.scales")]
    ['_scale', '', 'scales', None]
    """
    if key.startswith(name) and key[len(name) :][:1] in ("", "_", "."):
        return key[len(name) :]
    parent = name.rpartition(".")[0]
    start = f"{parent}." if parent else ""
    rest = key[len(start) :]
    return rest if key.startswith(start) and "." not in rest else None
