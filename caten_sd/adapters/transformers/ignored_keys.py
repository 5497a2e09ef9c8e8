"""The keys that a model of transformers does without, or leaves out, when it is loaded.

Its classes say so in patterns: old files have parts that a newer model computes, and a model that
is a part of another has no use for the rest.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable

from transformers.modeling_utils import PreTrainedModel

# What from_pretrained leaves out of the files of any model that has such a buffer.
_COMPUTED = {
    "rotary_emb.inv_freq": r"rotary_emb\.inv_freq",
    "position_ids": r"(^|\.)position_ids$",
}


class IgnoredKeys:
    """What ``from_pretrained`` does not tell of, for one model."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model

    def may_lack(self, keys: Iterable[str]) -> Collection[str]:
        """Return the slots that a file need not have."""
        return _found(_joined(self.model._keys_to_ignore_on_load_missing), keys)

    def leaves_out(self, keys: Iterable[str]) -> Collection[str]:
        """Return the keys of a file that the model has no use for."""
        return _found(self._left_out, keys)

    @functools.cached_property
    def _left_out(self) -> str:
        buffers = [name for name, _ in self.model.named_buffers()]
        computed = [
            pattern
            for name, pattern in _COMPUTED.items()
            if any(buffer.endswith(name) for buffer in buffers)
        ]
        return _joined([*(self.model._keys_to_ignore_on_load_unexpected or ()), *computed])


def _joined(patterns: Iterable[str] | None) -> str:
    return "|".join(f"(?:{pattern})" for pattern in patterns or ())


def _found(pattern: str, keys: Iterable[str]) -> set[str]:
    search = re.compile(pattern).search if pattern else None
    return {key for key in keys if search(key)} if search else set()
