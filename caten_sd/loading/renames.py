"""Rules that rename the beginnings of a file's keys, in whole dotted segments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from caten_sd.errors import LoadError

_CAPTURE = re.compile(r"\{(\w+)\}")


def renamed(keys: Iterable[str], rules: Mapping[str, str]) -> dict[str, str]:
    """Return the model's name of each key; the first rule that matches a key applies to it.

    A rule maps the beginning of a key in the file to that in the model. ``{i}`` matches an index,
    a longer name any one segment. LoadError if two keys get one name, or if a rule matches no key.

    >>> renamed(["model.h.0.w", "step"], {"model.h.{i}": "layers.{i}"})
    {'model.h.0.w': 'layers.0.w', 'step': 'step'}
    """
    compiled = [(text, *_compiled(text, to)) for text, to in rules.items()]
    names, fired = {}, set()
    for key in keys:
        names[key] = key
        for text, match, template in compiled:
            if found := match(key):
                fired.add(text)
                rest = key[found.end() :]
                start = _filled(template, found)
                names[key] = f"{start}{rest}" if start else rest.removeprefix(".")
                break
    if unused := [text for text in rules if text not in fired]:
        raise LoadError(
            f"the rename {unused[0]!r} matches no key of the file; nothing was changed: a rule "
            f"gives the beginning of a key, in whole segments"
        )
    _check_apart(names)
    return names


def _compiled(text: str, to: str) -> tuple[Callable[[str], re.Match[str] | None], str]:
    start, end = text.strip("."), to.strip(".")
    pieces = _CAPTURE.split(start)
    names = pieces[1::2]
    pieces[0::2] = map(re.escape, pieces[0::2])
    pieces[1::2] = [f"(?P<{n}>{r'[0-9]+' if len(n) == 1 else r'[^.]+'})" for n in names]
    unknown = set(_CAPTURE.findall(end)) - set(names)
    if unknown or len(set(names)) < len(names):
        raise LoadError(
            f"the rename {text!r} -> {to!r} captures a name twice, or not at all: capture each "
            f"name of the right side once on the left"
        )
    if not start:
        return re.compile("").match, f"{end}." if end else ""
    return re.compile("".join(pieces) + r"(?=\.|$)").match, end


def _filled(template: str, found: re.Match[str]) -> str:
    return _CAPTURE.sub(lambda name: found[name[1]], template)


def _check_apart(names: Mapping[str, str]) -> None:
    origin: dict[str, str] = {}
    for key, name in names.items():
        if origin.setdefault(name, key) != key:
            raise LoadError(
                f"{origin[name]} and {key} of the file both become {name}; nothing was changed: "
                f"make the rules keep them apart"
            )
