"""What the fields of an adapter_config.json that are read may hold; others are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.errors.printable import one_line
from caten_sd.state.value_kinds import is_flag, is_number, is_text, is_whole

_LONGEST = 100  # characters of a value that a message shows


def _is_whole(value: Any) -> bool:
    return is_whole(value) and not is_flag(value)  # JSON has true apart from 1


def _is_number(value: Any) -> bool:
    return is_number(value) and not is_flag(value)


def _in_mapping(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, Mapping) and all(map(test, value.values()))


_FLAG = "true or false", is_flag
_FIELDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "peft_type": ("a text", is_text),
    "init_lora_weights": (
        "true, false or a text",
        lambda value: is_flag(value) or is_text(value),
    ),
    "use_rslora": _FLAG,
    "use_dora": _FLAG,
    "fan_in_fan_out": _FLAG,
    "r": ("a whole number", _is_whole),
    "lora_alpha": ("a number", _is_number),
    "rank_pattern": ("whole numbers by the names of layers", _in_mapping(_is_whole)),
    "alpha_pattern": ("numbers by the names of layers", _in_mapping(_is_number)),
    "target_parameters": (
        "a list of texts",
        lambda value: isinstance(value, (list, tuple)) and all(map(is_text, value)),
    ),
}


def check_fields(config: Mapping[str, Any]) -> None:
    """LayoutError if a field holds a value of another type than peft gives it; null is none.

    >>> check_fields({"use_rslora": True, "target_parameters": None})
    >>> check_fields({"use_rslora": "yes"})
    Traceback (most recent call last):
    caten_sd.errors.LayoutError: use_rslora of the adapter_config.json is 'yes', and is to be true \
or false; correct it there, or get the adapter_config.json of this adapter
    """
    for name, (words, test) in _FIELDS.items():
        value = config.get(name)
        if value is not None and not test(value):
            raise LayoutError(
                f"{name} of the adapter_config.json is {one_line(repr(value), _LONGEST)}, and is "
                f"to be {words}; correct it there, or get the adapter_config.json of this adapter"
            )
