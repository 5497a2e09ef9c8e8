"""What the options of all public verbs take: one that gets a value of another kind is refused.

An option has one meaning in every verb, so that one table has all of them by name.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, ParamSpec, TypeVar

from caten_sd.errors import OptionError
from caten_sd.state.value_kinds import are_all, is_flag, is_number, is_text, is_whole
from caten_sd.wording import a_or_an

P = ParamSpec("P")
R = TypeVar("R")

_PLAIN = (str, bytes, int, float, list, tuple, set, os.PathLike, type)


class OptionKind(NamedTuple):
    """What an option takes, in words and as a test of a value."""

    words: str
    takes: Callable[[Any], bool]

    def or_none(self) -> OptionKind:
        """Return the kind that takes None too."""
        return OptionKind(
            f"{self.words}, or None", lambda value: value is None or self.takes(value)
        )


def _is_location(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


def _is_layout(value: Any) -> bool:
    return _is_location(value) or _is_made_layout(value)


def _is_format(value: Any) -> bool:
    return isinstance(value, str) or (_is_format_or_class(value) and not isinstance(value, type))


def _is_format_or_class(value: Any) -> bool:
    return hasattr(value, "holds_metadata")  # a Path has suffixes too


def _is_table(value: Any, of: Callable[[Any], bool]) -> bool:
    """Return whether a value is a mapping of text to what a test takes."""
    return isinstance(value, Mapping) and all(map(is_text, value)) and all(map(of, value.values()))


def _is_inputs(value: Any) -> bool:
    return not isinstance(value, (str, bytes, int, float, os.PathLike, type))


def _is_adapter(value: Any) -> bool:
    return _is_location(value) or isinstance(value, Mapping)


def _is_made_layout(value: Any) -> bool:
    return hasattr(value, "rows") and not isinstance(value, type)


def _is_row(value: Any) -> bool:
    return hasattr(value, "canonical") or hasattr(value, "here")


def _is_part(value: Any) -> bool:
    """Return whether a value is what the keys of a part begin with, and its layout."""
    is_pair = isinstance(value, (tuple, list)) and len(value) == 2
    return is_pair and is_text(value[0]) and _is_made_layout(value[1])


_TEXT = OptionKind("a text", is_text)
_FLAG = OptionKind("True or False", is_flag)
_NUMBER = OptionKind("a number", is_number)
_WHOLE = OptionKind("a whole number", is_whole)
_CALLED = OptionKind("a function", callable)
_MAPPING = OptionKind("a mapping", lambda value: isinstance(value, Mapping))
_LOCATION = OptionKind("a path, as text or a Path", _is_location)
_LAYOUT = OptionKind("the name of a layout or a Layout", _is_layout)
_BEGINNINGS = OptionKind(
    'a mapping of beginnings of keys to others, as {"old": "new"}',
    lambda value: _is_table(value, is_text),
)
_PATTERNS = OptionKind(
    "a glob pattern of keys or several of them",
    lambda value: is_text(value) or are_all(value, is_text),
)

KINDS: Mapping[str, OptionKind] = {
    "adapter": OptionKind("a path or a state dict", _is_adapter),
    "against": OptionKind(
        "the keys of a model, as get_state_dict(model) gives them",
        lambda value: are_all(value, is_text),
    ).or_none(),
    "allow_missing": _PATTERNS,
    "allow_unexpected": _PATTERNS,
    "announce": _CALLED.or_none(),
    "assign": _FLAG,
    "base": OptionKind("a Layout", _is_made_layout).or_none(),
    "check_values": _FLAG,
    "config": OptionKind(
        "the mapping of a config.json or an object with its attributes",
        lambda value: not isinstance(value, _PLAIN),
    ),
    "digests": _FLAG,
    "exclude": _PATTERNS,
    "class": OptionKind("a Format or its class", _is_format_or_class),
    "file": _TEXT,
    "files": OptionKind("several paths", lambda value: are_all(value, _is_location)),
    "format": OptionKind("the name of a format or a Format", _is_format).or_none(),
    "from_layout": _LAYOUT.or_none(),
    "inputs": OptionKind("a tensor, several of them, or a mapping of names to them", _is_inputs),
    "key_mapper": _CALLED,
    "layout": _LAYOUT.or_none(),
    "layouts": OptionKind(
        "a layout or several of them",
        lambda value: (
            (_is_layout(value) and not isinstance(value, os.PathLike)) or are_all(value, _is_layout)
        ),
    ),
    "layout made": OptionKind("a Layout", _is_made_layout),
    "lazy": _FLAG,
    "location": _LOCATION,
    "lora": OptionKind(
        "the path or the state dict of an adapter, or several of them",
        lambda value: _is_adapter(value) or are_all(value, _is_adapter),
    ),
    "max_shard_size": OptionKind(
        'a number of bytes or a text such as "5GB"',
        lambda value: is_text(value) or _WHOLE.takes(value),
    ).or_none(),
    "metadata": OptionKind(
        "a mapping of text to values", lambda value: _is_table(value, lambda _: True)
    ).or_none(),
    "modules": OptionKind("a mapping of paths to modules", _MAPPING.takes).or_none(),
    "mutators": OptionKind("several functions", lambda value: are_all(value, callable)),
    "name": _TEXT,
    "names": _BEGINNINGS.or_none(),
    "numbers": OptionKind(
        "a mapping of names to numbers", lambda value: _is_table(value, is_number)
    ).or_none(),
    "on_mismatch": OptionKind(
        "a mapping of glob patterns to repairs", lambda value: _is_table(value, lambda _: True)
    ).or_none(),
    "only": _PATTERNS,
    "options": OptionKind(
        "a mapping of names to values", lambda value: _is_table(value, lambda _: True)
    ),
    "parts": OptionKind(
        "a mapping of words to pairs of a beginning and a Layout",
        lambda value: _is_table(value, _is_part),
    ),
    "prefix": _TEXT.or_none(),
    "progress": _CALLED.or_none(),
    "quick": _FLAG,
    "rename": OptionKind(
        f"{_BEGINNINGS.words}, or a function of a key",
        lambda value: callable(value) or _BEGINNINGS.takes(value),
    ).or_none(),
    "rows": OptionKind("several of Row, Drop and Lacks", lambda value: are_all(value, _is_row)),
    "root": _TEXT.or_none(),
    "seed": _WHOLE,
    "silent": _FLAG,
    "streaming": _FLAG,
    "strict": _FLAG,
    "tolerance": _NUMBER.or_none(),
    "verify": _FLAG,
    "without": OptionKind("several names", lambda value: are_all(value, is_text)),
    "world": _TEXT.or_none(),
    "written": _FLAG,
}


def checked_options(**other: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that refuses values that the options of a verb do not take.

    ``other`` has the parameters that take what an option of another name takes.
    """

    def decorated(verb: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.signature(verb).parameters.values()
        ordered = [each.name for each in parameters]
        rest = next((each.name for each in parameters if each.kind is each.VAR_KEYWORD), "")
        takes_numbers = rest == "numbers"
        name = verb.__name__

        @functools.wraps(verb)
        def checked(*args: P.args, **options: P.kwargs) -> R:
            for option, value in (*zip(ordered, args, strict=False), *options.items()):
                kind = KINDS.get(other.get(option, option))
                if kind is None and takes_numbers and option not in ordered:
                    kind = _NUMBER
                if kind is not None and not kind.takes(value):
                    raise OptionError(f"{name}: {option}= takes {kind.words}, not {_said(value)}")
            return verb(*args, **options)

        return checked

    return decorated


def _said(value: Any) -> str:
    """Return what a value is, with what it has in it.

    >>> _said(["a", 1]), _said({1: 2}), _said(None), _said("x")
    ('a list of int and str', 'a dict of int to int', 'None', "a str ('x')")
    """
    if value is None:
        return "None"
    kind = a_or_an(type(value).__name__)
    if isinstance(value, (str, bool, int, float)):
        return f"{kind} ({value!r})"
    if isinstance(value, Mapping) and value:
        return f"{kind} of {_kinds(value)} to {_kinds(value.values())}"
    return f"{kind} of {_kinds(value)}" if isinstance(value, (list, tuple, set)) and value else kind


def _kinds(values: Iterable[Any]) -> str:
    return " and ".join(sorted({type(each).__name__ for each in values}))
