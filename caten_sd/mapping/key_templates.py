"""Keys of tensors as templates: those of all layers at once, with letters for their numbers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

Shape = tuple[int, ...]
Class = tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]  # the indices, and the sizes

_INDEX = re.compile(r"(?<![^./])(0|[1-9][0-9]{0,8})(?![^./])")
_LETTERS = "ijklmnopqrstuvwxyz"


@dataclass(frozen=True, eq=False)
class Template:
    """Keys that differ in numbers: their text around these, and the shape for each numbers."""

    parts: tuple[str, ...]
    shapes: Mapping[tuple[int, ...], Shape]

    @cached_property
    def text(self) -> str:
        """The pattern of the keys, with a letter for each number."""
        *before, last = self.parts
        holes = (f"{{{letter}}}" for letter in _LETTERS[: len(before)])
        return "".join(part + hole for part, hole in zip(before, holes, strict=True)) + last

    @property
    def tensors(self) -> int:
        """How many tensors there are."""
        return len(self.shapes)

    @property
    def shape(self) -> Shape:
        """The shape of the first tensor."""
        return next(iter(self.shapes.values()))

    @cached_property
    def indices(self) -> tuple[tuple[int, ...], ...]:
        """The numbers of each tensor, in order."""
        return tuple(sorted(self.shapes))

    @cached_property
    def keys(self) -> Mapping[str, tuple[int, ...]]:
        """The numbers in each key."""
        *before, last = self.parts
        return {
            "".join(f"{part}{n}" for part, n in zip(before, numbers, strict=True)) + last: numbers
            for numbers in self.shapes
        }

    def alone(self, key: str) -> Template:
        """Return the template of one of the keys alone."""
        return Template((key,), {(): self.shapes[self.keys[key]]})

    def kind(self, turned: bool | None = None) -> Class:
        """Return what a template of the other side has in common with it.

        ``turned`` is whether its matrices have their axes reversed there; None if that is unknown.
        """
        sizes = tuple(n for n in self.shape if n != 1)
        if turned is None or len(self.parts) == 1 or len(sizes) > 2:
            return self.indices, tuple(sorted(sizes))
        return self.indices, sizes[::-1] if turned else sizes

    @cached_property
    def module(self) -> str:
        """The pattern without its last name."""
        return parent_module(self.text)


def parent_module(name: str) -> str:
    """Return a pattern without its last name.

    >>> parent_module("h.{i}.attn.q"), parent_module("wte")
    ('h.{i}.attn', '')
    """
    return name[: max(name.rfind("."), name.rfind("/"), 0)]


def outer_modules(name: str) -> list[str]:
    """Return the modules around a name, the innermost first.

    >>> outer_modules("h.{i}.attn.q")
    ['h.{i}.attn', 'h.{i}', 'h']
    """
    found = []
    while name := parent_module(name):
        found.append(name)
    return found


def templates(shapes: Mapping[str, Shape]) -> list[Template]:
    """Return the templates of keys with these shapes, in order.

    >>> [each.text for each in templates({"h.0.fc1.w": (2,), "h.1.fc1.w": (2,), "wte": (3,)})]
    ['h.{i}.fc1.w', 'wte']
    """
    found: dict[tuple[str, ...], dict[tuple[int, ...], Shape]] = {}
    for key, shape in shapes.items():
        pieces = _INDEX.split(key, len(_LETTERS))
        parts, numbers = tuple(pieces[::2]), tuple(map(int, pieces[1::2]))
        found.setdefault(parts, {})[numbers] = shape
    mixed = _mixed(found)
    return [each for parts, of in found.items() for each in _apart(parts, of, mixed)]


def _mixed(found: Mapping[tuple[str, ...], Mapping[tuple[int, ...], Shape]]) -> set[str]:
    """Return what is before numbers, after another one, that stand for things of several kinds."""
    held: dict[tuple[str, ...], dict[int, set[tuple[str, ...]]]] = {}
    for parts, of in found.items():
        for hole in range(1, len(parts) - 1):
            for numbers in of:
                here = held.setdefault(parts[: hole + 1], {})
                here.setdefault(numbers[hole], set()).add(parts[hole + 1 :])
    return {
        "".join(before)
        for before, of_number in held.items()
        if any(each != next(iter(of_number.values())) for each in of_number.values())
    }


def _apart(
    parts: tuple[str, ...], of: Mapping[tuple[int, ...], Shape], mixed: Collection[str]
) -> Iterable[Template]:
    """Yield the templates of some keys: numbers that do not count from 0 are part of the name."""
    for hole in range(len(parts) - 1):
        by_number: dict[int, dict[tuple[int, ...], Shape]] = {}
        for own, shape in of.items():
            by_number.setdefault(own[hole], {})[(*own[:hole], *own[hole + 1 :])] = shape
        first = next(iter(by_number.values()))
        counts = sorted(by_number) == list(range(len(by_number))) and len(by_number) > 1
        alike = all(each == first for each in by_number.values())
        if counts and alike and "".join(parts[: hole + 1]) not in mixed:
            continue
        for number, rest in sorted(by_number.items()):
            name = f"{parts[hole]}{number}{parts[hole + 1]}"
            yield from _apart((*parts[:hole], name, *parts[hole + 2 :]), rest, mixed)
        return
    yield Template(parts, dict(of))
