"""The two spellings that torch has for the keys of weight_norm and spectral_norm.

The old hooks write ``weight_g``, ``weight_v`` and ``weight_orig``, ``weight_u``, ``weight_v``;
the parametrizations that followed them ``parametrizations.weight.original0`` and so on. The tensors
are the same.
"""

from __future__ import annotations

import re

from caten_sd.state.keys import joined_key

_NEW_OF_OLD = {
    "g": ("original0",),
    "v": ("original1", "0._v"),
    "orig": ("original",),
    "u": ("0._u",),
}
_OLD_OF_NEW = {new: old for old, several in _NEW_OF_OLD.items() for new in several}
_OLD = re.compile(r"(?:(.+)\.)?([^.]+)_(g|v|u|orig)")
_NEW = re.compile(r"(?:(.+)\.)?parametrizations\.([^.]+)\.(original[01]?|0\._[uv])")


def spellings(key: str) -> list[str]:
    """Return the other spellings of a key.

    >>> spellings("conv.weight_g")
    ['conv.parametrizations.weight.original0']
    >>> spellings("parametrizations.weight.0._u")
    ['weight_u']
    """
    if new := _NEW.fullmatch(key):
        parent, name, suffix = new.groups()
        return [joined_key(parent, f"{name}_{_OLD_OF_NEW[suffix]}")]
    if old := _OLD.fullmatch(key):
        parent, name, suffix = old.groups()
        return [joined_key(parent, f"parametrizations.{name}.{new}") for new in _NEW_OF_OLD[suffix]]
    return []
