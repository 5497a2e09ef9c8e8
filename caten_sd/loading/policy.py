"""What a load may leave out or change: rules by glob pattern, each recorded when it is used."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import translate
from typing import Any, Generic, TypeVar

import attrs

from caten_sd.errors import LoadError
from caten_sd.state.dtype import DType, dtype_called
from caten_sd.state.leaf import Spec

T = TypeVar("T")
Patterns = str | Iterable[str]
Repair = Callable[[Any, Any], Any]


@attrs.frozen
class PolicyRule(Generic[T]):
    """A glob pattern over whole keys, in which ``*`` crosses dots, and the value it gives them."""

    pattern: str
    matches: Callable[[str], object]
    value: T


class PolicyRules(Generic[T]):
    """Rules in the order in which they were given; the first that matches a key applies to it.

    >>> PolicyRules("allow_missing", {"head.*": True}).find("head.fc.bias").pattern
    'head.*'
    """

    def __init__(self, name: str, values: Mapping[str, T]) -> None:
        self.name = name
        self.rules: list[PolicyRule[T]] = [
            PolicyRule(text, re.compile(translate(text)).match, value)
            for text, value in values.items()
        ]

    def find(self, key: str) -> PolicyRule[T] | None:
        """Return the rule for a key, or None."""
        return next((rule for rule in self.rules if rule.matches(key)), None)

    def unused(self, keys: Iterable[str]) -> list[str]:
        """Return the patterns that match none of these keys; they may be misspelled."""
        known = list(keys)
        return [rule.pattern for rule in self.rules if not any(map(rule.matches, known))]

    def late(self, keys: Iterable[str]) -> list[str]:
        """Return the patterns that match keys, of which earlier ones with other values take all."""
        known = list(keys)
        return [
            rule.pattern
            for rule in self.rules
            if (taken := [self.find(key) for key in known if rule.matches(key)])
            and all(first is not None and first.value is not rule.value for first in taken)
        ]


def exactly(key: str) -> str:
    """Return the pattern that matches this key only.

    >>> exactly("h.0.w"), exactly("w[*]")
    ('h.0.w', 'w[[][*]]')
    """
    return re.sub(r"([*?[])", r"[\1]", key)


class Policy:
    """The rules of one load; LoadError for a rule that is not valid."""

    def __init__(
        self,
        allow_missing: Patterns = (),
        allow_unexpected: Patterns = (),
        on_mismatch: Mapping[str, Repair] | None = None,
        dtype: Any = None,
        check_values: bool = False,
    ) -> None:
        self.checks_values = check_values
        self.missing = PolicyRules("allow_missing", _allowed(allow_missing))
        self.unexpected = PolicyRules("allow_unexpected", _allowed(allow_unexpected))
        self.repairs = PolicyRules("on_mismatch", _repairs(on_mismatch))
        dtypes = dtype if isinstance(dtype, Mapping) else {} if dtype is None else {"*": dtype}
        self.dtypes = PolicyRules("dtype", {text: _dtype(value) for text, value in dtypes.items()})

    def target(self, key: str, slot: Spec, leaf: Spec, default: str) -> DType:
        """Return the dtype that the slot will have; a named one applies to slots of its kind."""
        rule = self.dtypes.find(key) if self.dtypes.rules else None
        asked = rule.value if rule else default
        if asked == "keep":
            # An integer in the place of a float would be no parameter; blocks would be no array.
            return leaf.dtype if leaf.dtype.kind == slot.dtype.kind else slot.dtype
        return asked if isinstance(asked, DType) and asked.kind == slot.dtype.kind else slot.dtype

    def unused(self, keys: Iterable[str]) -> list[str]:
        """Return a note for each pattern that applies to none of the keys of model and file."""
        every = (self.missing, self.unexpected, self.repairs, self.dtypes)
        if not any(rules.rules for rules in every):
            return []
        known = list(keys)
        return [
            *(
                f"{rules.name} {pattern!r} matches no key of the model or the file"
                for rules in every
                for pattern in rules.unused(known)
            ),
            *(
                f"{rules.name} {pattern!r} applies to no key, since patterns before it do"
                for rules in every
                for pattern in rules.late(known)
            ),
        ]


def _allowed(patterns: Patterns) -> dict[str, bool]:
    return dict.fromkeys([patterns] if isinstance(patterns, str) else patterns, True)


def _repairs(on_mismatch: Mapping[str, Repair] | None) -> Mapping[str, Repair]:
    for pattern, repair in (on_mismatch or {}).items():
        if not callable(repair):
            raise LoadError(
                f"on_mismatch[{pattern!r}] is {repair!r}; give skip, pad_rows(), trim_rows(), "
                f"fill(value), or a function of the file's array and the model's"
            )
    return on_mismatch or {}


def _dtype(value: Any) -> str | DType:
    """Return "keep", "to_model", or our DType for the name or the dtype of any package."""
    if isinstance(value, str) and value in ("keep", "to_model"):
        return value
    found = dtype_called(value)
    if found is None:
        raise LoadError(f'dtype is "keep", "to_model" or a name such as "bfloat16", not {value!r}')
    return found
