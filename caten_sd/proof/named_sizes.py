"""The names that a configuration has for the sizes of axes and the counts of heads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from caten_sd.mapping.axis_sizes import Size
from caten_sd.mapping.operations import Operation

_LEAST = (
    3  # a pair of halves is not a number of the model, though many models have two of something
)


class NamedSizes:
    """Numbers by their names, which operations have in place of the numbers.

    A number has a name only where exactly one name has it; that of heads counts first.
    """

    def __init__(self, numbers: Mapping[str, Any]) -> None:
        self.numbers = {
            name: number
            for name, number in numbers.items()
            if isinstance(number, int) and not isinstance(number, bool) and name.isidentifier()
        }

    def size(self, number: int) -> Size:
        """Return the name of a number, or the number where none or several have it.

        >>> NamedSizes({"n_head": 4, "n_layer": 4, "n_embd": 64}).size(64)
        'n_embd'
        >>> NamedSizes({"n_experts": 8, "n_layer": 8}).size(8)
        8
        """
        return number if number < _LEAST else self._named(number) or self._product(number) or number

    def bound(self, operation: Operation) -> Operation:
        """Return an operation with the numbers in place of their names."""
        return operation.bind(self.numbers.__getitem__)

    def _named(self, number: int) -> str:
        found = [name for name, each in self.numbers.items() if each == number]
        return _only(found) or _only(name for name in found if "head" in name)

    def _product(self, number: int) -> str:
        """Return heads times the size of one, or twice that, or "" where none or several are it."""
        counts = {_stem(name): name for name in self._counts()}
        products = [
            (self.numbers[counts[stem]] * size, f"{counts[stem]}*{name}")
            for name, size in self.numbers.items()
            if "dim" in name and (stem := _stem(name)) in counts and stem
        ]
        texts = [text for product, text in products if product == number]
        texts += [f"2*{text}" for product, text in products if 2 * product == number]
        return _only(texts)

    def heads(self, number: int) -> Size:
        """Return the name of a count of heads, however small, or the number.

        >>> NamedSizes({"n_head": 4, "n_kv_head": 2, "n_shared": 2}).heads(2)
        'n_kv_head'
        """
        return self.count(number) or self.size(number)

    def count(self, number: int) -> str:
        """Return the name of a count of heads, or "" where none or several have it."""
        return _only(name for name, each in self._counts().items() if each == number)

    def groups(self, number: int) -> Size:
        """Return the name of a count of groups, or else of heads, or the number.

        >>> NamedSizes({"n_kv_head": 2, "n_groups": 2}).groups(2)
        'n_groups'
        """
        found = (name for name, n in self.numbers.items() if n == number and "group" in name)
        return _only(found) or self.heads(number)

    def within_head(self, number: int) -> Size:
        """Return the name of the size of a head, or another name, or the number.

        >>> NamedSizes({"n_head": 16, "head_dim": 16}).within_head(16)
        'head_dim'
        """
        found = (name for name, n in self.numbers.items() if n == number and "head_dim" in name)
        return _only(found) or self.size(number)

    def _counts(self) -> dict[str, int]:
        return {name: n for name, n in self.numbers.items() if "head" in name and "dim" not in name}

    def shares(self, lengths: Sequence[int]) -> tuple[Size, ...]:
        """Return the shares of an axis: names of its lengths, counts of heads, or small numbers.

        >>> NamedSizes({"n_head": 4, "n_kv_head": 2}).shares((64, 32, 32))
        ('n_head', 'n_kv_head', 'n_kv_head')
        >>> NamedSizes({}).shares((64, 32, 32)), NamedSizes({}).shares((8, 8))
        ((2, 1, 1), (1, 1))
        """
        unit = math.gcd(*lengths)
        if len(set(lengths)) == 1:
            return (1,) * len(lengths)
        named = tuple(map(self.size, lengths))
        if all(isinstance(size, str) for size in named):
            return named
        return self._grouped_heads(lengths) or tuple(length // unit for length in lengths)

    def _grouped_heads(self, lengths: Sequence[int]) -> tuple[Size, ...]:
        """Return the counts of heads of queries, keys and values; () if they are not in these."""
        if len(lengths) != 3 or lengths[1] != lengths[2]:
            return ()
        for count in sorted(self._counts().values()):
            many, rest = divmod(lengths[0] * count, lengths[1])
            names = self.heads(many), self.heads(count)
            if not rest and not lengths[1] % count and all(isinstance(n, str) for n in names):
                return names[0], names[1], names[1]
        return ()


def _only(names: Iterable[str]) -> str:
    """Return the one name there is, or ""."""
    found = list(names)
    return found[0] if len(found) == 1 else ""


def _stem(name: str) -> frozenset[str]:
    """Return what tells heads apart in the name of their count, or of the size of one.

    >>> sorted(_stem("linear_num_key_heads")) == sorted(_stem("linear_key_head_dim"))
    True
    """
    return frozenset(name.split("_")) - {"num", "n", "head", "heads", "dim"}
