"""Digests of tensors: the same in every format, in every order of keys, tied or not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from caten_sd.errors import FormatError
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.pieces import pieces
from caten_sd.state.state_dict import StateDict, as_state_dict
from caten_sd.wording import counted, first_few

STORED = "caten_sd.digests"  # the metadata entry with the digest of each tensor


def tensor_digests(state_dict: Mapping[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of each tensor's key, dtype, shape and bytes (C order, little endian).

    >>> import numpy
    >>> tensor_digests({"w": numpy.zeros(2, "float32")})["w"][:16]
    'b8787d2e50d18261'
    """
    known = as_state_dict(state_dict)
    contents: dict[int, str] = {}  # a tied leaf is read once
    digests = {}
    for key, leaf in known.items():
        spec = spec_or_none(leaf)
        if spec is None:
            continue
        if id(leaf) not in contents:
            contents[id(leaf)] = _content(leaf)
        record = [key, spec.dtype.name, list(spec.shape), contents[id(leaf)]]
        digests[key] = hashlib.sha256(json.dumps(record).encode()).hexdigest()
    return digests


def digest(state_dict: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the sorted digests of the tensors; metadata is not included."""
    lines = sorted(tensor_digests(state_dict).values())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def verify_digests(state_dict: StateDict, source: str) -> None:
    """Compare every tensor with its stored digest; FormatError names those that differ."""
    try:
        stored = dict(json.loads(state_dict.metadata[STORED]))
    except (KeyError, TypeError, ValueError, RecursionError):
        raise FormatError(
            source,
            "it has no digests to verify",
            "write it with digests=True, or with caten-sd convert --digests",
        ) from None
    found = tensor_digests(state_dict)
    wrong = [key for key in {**stored, **found} if stored.get(key) != found.get(key)]
    if wrong:
        raise FormatError(
            source,
            f"{counted(len(wrong), 'tensor')} not as saved: {first_few(wrong, 5)}",
            "the file is damaged, so get it again",
        )


def _content(leaf: Any) -> str:
    content = hashlib.sha256()
    for piece in pieces(leaf):
        content.update(piece)
    return content.hexdigest()
