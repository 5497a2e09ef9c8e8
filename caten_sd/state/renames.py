"""Rules that rename keys by their beginnings, in whole dotted segments.

A rule gives the beginning of a key and its new beginning. ``{i}`` stands for an index, a longer
name in braces for any one segment, and ``*`` for any text, dots too, as short as possible. The new
beginning repeats what the old one captures: braces by name, each ``*`` in its order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from caten_sd.errors import StateDictError
from caten_sd.state.globs import near_keys
from caten_sd.wording import a_or_an

Rules = Mapping[str, str]
Renamer = Callable[[str], str]  # called with each key

_CAPTURE = re.compile(r"(\*|\{\w+\})")


class _CapturingRule(NamedTuple):
    """A rule with captures; ``template`` has the numbers of those that the new key repeats."""

    match: Callable[[str], re.Match[str] | None]
    template: tuple[str | int, ...]

    def name(self, key: str) -> str | None:
        """Return the new name of a key, or None if the rule is not for it."""
        found = self.match(key)
        if found is None:
            return None
        start = "".join(each if isinstance(each, str) else found[each] for each in self.template)
        return _joined(start, key[found.end() :])


class _RuleSet:
    """Rules to find by a key, in time that does not grow with the number of plain ones."""

    def __init__(self, rules: Rules) -> None:
        self._whole: dict[str, tuple[int, str]] = {}
        self._starts: dict[str, tuple[int, str]] = {}
        self._capturing: list[tuple[int, _CapturingRule]] = []
        for number, (old, new) in enumerate(rules.items()):
            start, new_start = old.strip("."), new.strip(".")
            if _CAPTURE.search(old) or _CAPTURE.search(new):
                self._capturing.append((number, _compiled(old, new)))
            else:
                self._whole[old] = number, new
                self._starts.setdefault(start, (number, new_start))

    def find(self, key: str) -> tuple[int, str] | None:
        """Return the number of the rule for a key, and the new name; None if there is no rule."""
        if key in self._whole:
            return self._whole[key]
        found = [
            (number, _joined(new, rest))
            for start, rest in _cuts(key)
            for number, new in [self._starts.get(start, (-1, ""))]
            if number >= 0
        ]
        for number, rule in self._capturing:
            if (name := rule.name(key)) is not None:
                found.append((number, name))
                break
        return min(found, default=None)


def renamed(keys: Collection[str], rules: Rules | Renamer) -> dict[str, str]:
    """Return the new name of each key; StateDictError if two get one, or if a rule matches no key.

    A rule that is a whole key goes first, and then the first one that matches.

    >>> renamed(["model.h.0.w", "step"], {"model.h.{i}": "layers.{i}"})
    {'model.h.0.w': 'layers.0.w', 'step': 'step'}
    >>> renamed(["h.0.attn.w", "h.0.ln.w"], {"h.*.attn": "layers.*.attention"})
    {'h.0.attn.w': 'layers.0.attention.w', 'h.0.ln.w': 'h.0.ln.w'}
    """
    names = _by_rules(keys, rules) if isinstance(rules, Mapping) else _by_function(keys, rules)
    origin: dict[str, str] = {}
    for key, name in names.items():
        if origin.setdefault(name, key) != key:
            raise StateDictError(
                f"{origin[name]} and {key} would both become {name}; make the rules keep them apart"
            )
    return names


def rules_of(keys: Collection[str], rules: Rules) -> dict[str, str]:
    """Return those of the rules that give one of these keys its new name.

    >>> rules_of(["a.w"], {"a": "b", "c": "d"})
    {'a': 'b'}
    """
    rule_set = _RuleSet(rules)
    fired = {found[0] for key in keys if (found := rule_set.find(key)) is not None}
    return {old: new for number, (old, new) in enumerate(rules.items()) if number in fired}


def renamed_ties(ties: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """Return the ties among the keys that have a new name, by their new names.

    >>> renamed_ties({"b": "a", "c": "a"}, {"b": "x.b", "c": "x.c"})
    {'x.c': 'x.b'}
    """
    firsts = {first: names[first] for first in ties.values() if first in names}
    found: dict[str, str] = {}
    for key in filter(ties.__contains__, names):
        first = firsts.setdefault(ties[key], names[key])
        if first != names[key]:
            found[names[key]] = first
    return found


def _by_rules(keys: Collection[str], rules: Rules) -> dict[str, str]:
    rule_set, names, fired = _RuleSet(rules), {}, set()
    for key in keys:
        found = rule_set.find(key)
        names[key] = key if found is None else found[1]
        fired.add(-1 if found is None else found[0])
    for number, old in enumerate(rules):
        if number not in fired:
            raise StateDictError(
                f"the rename {old!r} matches no key that an earlier rule leaves; a rule gives the "
                f"beginning of a key, in whole segments: {near_keys(old, keys)}"
            )
    return names


def _by_function(keys: Collection[str], function: Renamer) -> dict[str, str]:
    names = {key: function(key) for key in keys}
    for key, name in names.items():
        if not isinstance(name, str):
            kind = a_or_an(type(name).__name__)
            raise StateDictError(f"the new name of {key} is {kind}; return a text for each key")
    return names


def _cuts(key: str) -> Iterator[tuple[str, str]]:
    """Yield the beginnings of a key in whole segments, each with the rest of the key."""
    yield "", key
    at = key.find(".")
    while at >= 0:
        yield key[:at], key[at:]
        at = key.find(".", at + 1)
    yield key, ""


def _joined(start: str, rest: str) -> str:
    rest = rest.removeprefix(".")
    return f"{start}.{rest}" if start and rest else start or rest


def _compiled(old: str, new: str) -> _CapturingRule:
    """Return a rule that captures; StateDictError if the two sides do not capture the same."""
    given, asked = (_CAPTURE.split(text.strip(".")) for text in (old, new))
    captures, repeats = given[1::2], asked[1::2]
    named = [each for each in captures if each != "*"]
    stars = (captures.count("*"), repeats.count("*"))
    if {*repeats} - {*captures, "*"} or len({*named}) < len(named) or stars[0] != stars[1]:
        raise StateDictError(
            f"the rename {old!r} -> {new!r} captures a name twice, or not at all: capture each "
            f"name of the right side once on the left, and have as many * on both sides"
        )
    pattern, groups = _regex(given)
    numbers = {each: group for each, group in zip(captures, groups, strict=True) if each != "*"}
    at_stars = iter([group for each, group in zip(captures, groups, strict=True) if each == "*"])
    template = [
        each if not place % 2 else next(at_stars) if each == "*" else numbers[each]
        for place, each in enumerate(asked)
    ]
    return _CapturingRule(re.compile(pattern, re.DOTALL).match, tuple(template))


def _regex(pieces: list[str]) -> tuple[str, list[int]]:
    """Return the expression for pieces between captures, and the group of each capture.

    What a * begins is matched once, as short as possible, and never again at another place, since
    the time for a long key would grow with a power of its length.
    """
    parts, groups, count = [""], [], 0
    for place, piece in enumerate(pieces):
        if place % 2 and piece == "*":
            parts.append("(.*?)")
            count += 2  # one of them around the part
        elif place % 2:
            parts[-1] += "([0-9]+)" if len(piece) == len("{i}") else "([^.]+)"
            count += 1
        else:
            parts[-1] += re.escape(piece)
        groups += [count] * (place % 2)
    parts[-1] += r"(?=\.|\Z)"
    around = [group - 1 for group, piece in zip(groups, pieces[1::2], strict=True) if piece == "*"]
    once = [f"(?=({part}))\\{group}" for part, group in zip(parts[1:], around, strict=True)]
    return "".join([parts[0], *once]), groups
