"""The conversions of transformers as rows: which keys of a file become which slots of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import (
    WeightConverter,
    WeightRenaming,
    dot_natural_key,
    rename_source_key,
)

from caten_sd.adapters.transformers.conversions import (
    INDEX,
    Surroundings,
    Tensors,
    operation_of,
)
from caten_sd.errors import LayoutError
from caten_sd.mapping.assembly import Concat
from caten_sd.mapping.operations import Chain, Operation
from caten_sd.mapping.pattern_pieces import HOLE, taken_apart
from caten_sd.mapping.rearrange import Each, Rearrange
from caten_sd.mapping.rows import Row
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.steps import Shape

STACKS = "MergeModulelist"
EXPERTS = "ErnieFuseAndSplitTextVisionExperts"


@attrs.frozen
class Taken:
    """The keys of a file that become the slot of this name, and the conversion that takes them.

    ``keys`` has them by the pattern that each matches.
    """

    name: str
    converter: Any  # None if the key is only renamed
    keys: dict[str | None, list[str]] = attrs.field(factory=dict)


def rows_between(model: Any, leaves: Mapping[str, Any], slots: Mapping[str, Any]) -> list[Row]:
    """Return the rows between a model's slots and those leaves of a file that become slots."""
    rows: list[Row] = []
    for taken in _taken(model, leaves, slots):
        _refuse_two_sources(taken)
        if taken.converter is None:
            rows.append(Row(taken.name, taken.keys[None][0]))
        else:
            rows += _RowsOfOne(taken, model, leaves, slots).rows()
    return rows


def _taken(model: Any, leaves: Mapping[str, Any], slots: Mapping[str, Any]) -> list[Taken]:
    conversions = get_model_conversion_mapping(model)
    renamings = [each for each in conversions if isinstance(each, WeightRenaming)]
    converters = [each for each in conversions if isinstance(each, WeightConverter)]
    by_pattern = {pattern: each for each in converters for pattern in each.source_patterns}
    prefix, known = model.base_model_prefix, dict(slots)
    found: dict[str, Taken] = {}
    # Some conversions depend on the keys before, in the order in which transformers loads them.
    orders = {key: order for key in leaves if (order := _order(key)) is not None}
    for key in sorted(orders, key=orders.__getitem__):
        name, pattern = rename_source_key(key, renamings, converters, prefix, known)
        if name not in slots and key in slots:
            name, pattern = rename_source_key(key, [], [], prefix, known)
        if name in slots:
            converter = None if pattern is None else by_pattern[pattern]
            taken = found.setdefault(name, Taken(name, converter))
            taken.keys.setdefault(pattern, []).append(key)
    return list(found.values())


def _order(key: str) -> Any:
    """Return what transformers sorts a key by; None if it cannot read the numbers in it."""
    try:
        return dot_natural_key(key)
    except ValueError:  # digits of another kind, or 5,000 of them
        return None


def _refuse_two_sources(taken: Taken) -> None:
    """Refuse a key that is renamed to a slot which other keys become too."""
    if None in taken.keys and sum(map(len, taken.keys.values())) > 1:
        one, other, *_ = [key for keys in taken.keys.values() for key in keys]
        raise LayoutError(
            f"{one} and {other} of the file are both {taken.name} of the model; leave one of them "
            f"out"
        )


class _RowsOfOne:
    """The rows of one conversion, on the keys of a file that it takes together."""

    def __init__(
        self, taken: Taken, model: Any, leaves: Mapping[str, Any], slots: Mapping[str, Any]
    ) -> None:
        self.leaves, self.config = leaves, model.config
        self.operations = taken.converter.operations
        self.patterns = tuple(taken.converter.source_patterns)
        self.targets = tuple(taken.converter.target_patterns)
        self.keys = [taken.keys.get(pattern, []) for pattern in self.patterns]
        before, _, after = taken.name.partition(self.targets[0])
        names = tuple(before + each + after for each in self.targets)
        self.names = names if len(names) > 1 else (taken.name,)
        self.shapes = tuple(_shape(slots[name]) for name in self.names if name in slots)

    def rows(self) -> list[Row]:
        """Return the rows; none if the file lacks a tensor that the conversion needs.

        What is not a tensor is not one that it needs.
        """
        kinds = {type(operation).__name__ for operation in self.operations}
        if not all(self.keys) or len(self.shapes) < len(self.names):
            return []
        if any(spec_or_none(self.leaves[key]) is None for some in self.keys for key in some):
            return []
        if kinds == {EXPERTS}:
            return self._experts()
        if STACKS not in kinds:
            keys = [key for some in self.keys for key in some]
            patterns = [p for p, some in zip(self.patterns, self.keys, strict=True) for _ in some]
            return self._row(keys, keys, patterns, 1)
        stacks = [_stacked(keys, self.names[0]) for keys in self.keys]
        if None in stacks or len(set(map(len, self.keys))) > 1:
            return []
        firsts = [keys[0] for keys in self.keys]
        return self._row(stacks, firsts, self.patterns, len(self.keys[0]))

    def _row(
        self, names: Sequence[Any], firsts: list[str], patterns: Sequence[str], count: int
    ) -> list[Row]:
        """Return the row of tensors with these names in the file, of which the first are given."""
        shapes = tuple(_shape(self.leaves[key]) for key in firsts)
        tensors = Tensors(tuple(patterns), shapes, count)
        around = Surroundings(self.targets, self.shapes, self.config)
        steps: list[Operation] = []
        for operation in self.operations:
            try:
                translated = operation_of(operation, tensors, around)
            except (IndexError, LayoutError) as error:  # too few axes, or an empty one
                raise LayoutError(
                    f"{firsts[0]} of the file is {list(shapes[0])}, of which "
                    f"{type(operation).__name__} of transformers cannot make {self.names[0]} "
                    f"{list(self.shapes[0])}: load a file of a model of this class"
                ) from error
            if translated is None:
                return []
            steps.append(translated[0])
            tensors = translated[1]
        return [Row(_one(self.names), _one(tuple(names)), Chain(*steps).inverse())]

    def _experts(self) -> list[Row]:
        """Return a row for each target, which has its share of the experts of all patterns."""
        (operation,) = self.operations
        count = -(-len(self.keys[0]) // len(self.targets))
        if (operation.stack_dim, operation.concat_dim) != (0, 1) or count < 2:
            return []
        rows = []
        for number, name in enumerate(self.names):
            share = slice(number * count, (number + 1) * count)
            keys = tuple(key for some in self.keys for key in some[share])
            # No index counts the experts, as those of the second target do not begin at 0.
            joined = Chain(
                Each(*[Rearrange("a b -> 1 a b")] * len(keys)),
                Concat((1,) * len(keys)),
                Rearrange("(part e) a b -> e (part a) b", part=len(self.keys)),
            )
            rows.append(Row(name, keys, joined.inverse()))
        return rows


def _one(names: tuple[str, ...]) -> str | tuple[str, ...]:
    return names[0] if len(names) == 1 else names


def _shape(leaf: Any) -> Shape:
    known = spec_or_none(leaf)
    return () if known is None else known.shape


def _stacked(keys: Sequence[str], name: str) -> str | None:
    """Return the pattern of keys that have the numbers from 0 on in one place, or None.

    >>> _stacked(["h.1.experts.0.w", "h.1.experts.1.w"], "h.1.experts.w")
    'h.1.experts.{e}.w'
    """
    template, numbers = taken_apart(keys[0])
    others = [taken_apart(key) for key in keys[1:]]
    _, known = taken_apart(name)
    if others:
        differs = [n for n, number in enumerate(numbers) if number != others[0][1][n]]
    else:
        differs = [n for n, number in enumerate(numbers) if known[n : n + 1] != [number]][:1]
    if len(differs) != 1:
        return None
    at = differs[0]
    numbers[at] = f"{{{INDEX}}}"
    parts = template.split(HOLE)
    pattern = parts[0] + "".join(map("".join, zip(numbers, parts[1:], strict=True)))
    made = [pattern.replace(numbers[at], str(n)) for n in range(len(keys))]
    return pattern if made == list(keys) else None
