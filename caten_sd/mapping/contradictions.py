"""What a configuration says of a model and its tensors do not: sizes, head counts, biases."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from caten_sd.mapping.axis_sizes import Numbers, Size, names_in, size_text, solve
from caten_sd.mapping.layout import Layout


class Unsolved(NamedTuple):
    """A tensor whose shape may have the declared sizes, and does not give all their names."""

    key: str
    canonical: str
    shape: tuple[int, ...]
    sizes: tuple[Size, ...]


def wrong_numbers(
    shapes: Mapping[str, int], unsolved: Sequence[Unsolved], lookup: Numbers
) -> Iterator[str]:
    """Yield a sentence for each number that the shapes contradict.

    A shape that has two numbers gives none of them, and may still contradict what is said of both.
    """
    for name, found in shapes.items():
        told = _number(lookup, name)
        if told is not None and told != found:
            yield f"{name} is {told} in the configuration, and {found} by the shapes; correct it"
    known = dict(shapes)
    for each in unsolved:
        open_names = sorted(names_in(each.sizes) - known.keys())
        known.update({name: told for name in open_names if (told := _number(lookup, name))})
        if not solve(each.sizes, each.shape, known):
            names = sorted(names_in(each.sizes) & (known.keys() - shapes.keys()))
            numbers = ", ".join(f"{name} {known[name]}" for name in names)
            yield (
                f"{each.key} would be {each.shape} as {each.canonical}, which is declared "
                f"{size_text(each.sizes)}, and the configuration has {numbers}; correct that"
            )


def _number(lookup: Numbers, name: str) -> int | None:
    """Return the number that is told for a name; None where it is not one for the whole model."""
    told = lookup.find(name)
    return told if isinstance(told, int) and not isinstance(told, bool) and told > 0 else None


def wrong_flags(layout: Layout, fired: Collection[int], lookup: Numbers) -> Iterator[str]:
    """Yield a sentence for each row that is there, or is not, against its flag."""
    for rule in layout.reading.rules:
        told = lookup.entry(rule.row.flag) if rule.row.flag else None
        if not isinstance(told, bool) or told == (id(rule) in fired):
            continue
        name, flag = rule.inputs[0].text, rule.row.flag
        if told:
            yield f"{flag} is true in the configuration, and no key is {name}; add it or correct it"
        else:
            yield f"{flag} is false in the configuration, and a key is {name}; correct one of them"
