"""What a config.json states of how the weights next to it are packed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caten_sd.errors import StateDictError
from caten_sd.errors.printable import one_line

NAMES = ("quantization_config", "quantization")  # transformers' and MLX's
_SIZES = {"bits": ("bits", "w_bit"), "group_size": ("group_size", "q_group_size")}
_LONGEST = 100  # characters of a value that a message shows


class Stated:
    """What config.json states of one weight; ``method`` is the tool, such as "awq", or "".

    >>> config = {"quantization_config": {"quant_method": "awq", "bits": 4}}
    >>> stated = Stated.of(config, "fc.weight")
    >>> stated.method, stated.number("bits")
    ('awq', 4)
    """

    def __init__(self, entries: Mapping[str, Any]) -> None:
        self.entries = entries
        method = entries.get("quant_method", "")
        self.method = one_line(method, _LONGEST).lower() if isinstance(method, str) else ""

    @classmethod
    def of(cls, config: Any, name: str) -> Stated:
        """Return what is stated for the weight of this name; MLX may state more for its layer."""
        entries = quantization_of(config)
        own = entries.get(name.rpartition(".")[0])
        return cls({**entries, **own} if isinstance(own, Mapping) else entries)

    def number(self, name: str) -> int | None:
        """Return a number, under any of the names that tools have for it; None if none is there."""
        values = [self.entries.get(each) for each in _SIZES.get(name, (name,))]
        numbers = (each for each in values if isinstance(each, int) and not isinstance(each, bool))
        return next(numbers, None)

    def of_groups(self, name: str) -> list[Any]:
        """Return what compressed-tensors states under a name for the weights of each group."""
        groups = self.entries.get("config_groups")
        each = groups.values() if isinstance(groups, Mapping) else ()
        weights = [group.get("weights") for group in each if isinstance(group, Mapping)]
        return [known[name] for known in weights if isinstance(known, Mapping) and name in known]

    def text(self, *names: str) -> str:
        """Return the first text under one of these names, in small letters, or ""."""
        values = (self.entries.get(name) for name in names)
        found = next((each for each in values if isinstance(each, str)), "")
        return one_line(found, _LONGEST).lower()

    def refuse_other(self, name: str, found: int, key: str) -> None:
        """Refuse a number that is not the one that the shapes of the weight have."""
        stated = self.number(name)
        if stated is not None and stated != found:
            raise StateDictError(
                f"{key} has {name} {found} by its shapes, and config.json states "
                f"{one_line(stated, _LONGEST)}; get the config.json of this checkpoint"
            )


def quantization_of(config: Any) -> Mapping[str, Any]:
    """Return what a config.json states of quantization, for all weights; {} if nothing."""
    whole = config if isinstance(config, Mapping) else {}
    text = whole.get("text_config")
    for part in (whole, text if isinstance(text, Mapping) else {}):
        for name in NAMES:
            if isinstance(part.get(name), Mapping) and part[name]:
                found: Mapping[str, Any] = part[name]
                return found
    return {}
