"""Tensors joined, split and stacked, found as sums of fingerprints that equal another one."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from caten_sd.proof.key_indices import context
from caten_sd.proof.weights import Bearer, Weights, stacks

_MASK = (1 << 64) - 1
_MOST_OF = ((60, 2), (40, 3), (20, 4), (12, 5))  # tensors that may be joined, and how many of them

Total = tuple[int, int]  # elements, and the sum of their fingerprints


class Term(NamedTuple):
    """A bearer with its elements and sum."""

    bearer: Bearer
    elements: int
    sum: int


def sums(
    weights: Weights, keys: Collection[str], level: str, wanted: Collection[Total]
) -> dict[Total, list[tuple[Bearer, ...]]]:
    """Return the bearers among keys whose sums are wanted, those within one block first."""
    single = [_term(weights, Bearer((key,)), level) for key in keys]
    stacked = [_term(weights, bearer, level) for bearer in stacks(keys)]
    terms = [term for term in (*single, *stacked) if term is not None]
    found: dict[Total, list[tuple[Bearer, ...]]] = {}
    for term in terms:
        if term.bearer.is_stack and (term.elements, term.sum) in wanted:
            found.setdefault((term.elements, term.sum), []).append((term.bearer,))
    for block in _blocks(terms):
        for total, joined in _joined(block, wanted):
            found.setdefault(total, []).append(joined)
    if not found:
        rest = [term for term in terms if not term.bearer.is_stack]
        for total, joined in _joined(rest, wanted):
            found.setdefault(total, []).append(joined)
    return {total: kept for total, each in found.items() if (kept := _of_one_dtype(weights, each))}


def _of_one_dtype(
    weights: Weights, solutions: list[tuple[Bearer, ...]]
) -> list[tuple[Bearer, ...]]:
    """Return the solutions whose tensors can be joined."""
    return [
        each
        for each in solutions
        if len({weights.specs[key].dtype for bearer in each for key in bearer.keys}) == 1
    ]


def _term(weights: Weights, bearer: Bearer, level: str) -> Term | None:
    prints = [weights.prints[key] for key in bearer.keys]
    totals = [each.sum(level) for each in prints]
    known = [total for total in totals if total is not None]
    if len(known) < len(totals) or any(each.elements != prints[0].elements for each in prints):
        return None
    specs = [weights.specs[key] for key in bearer.keys]
    if len({(each.shape, each.dtype) for each in specs}) > 1:
        return None
    return Term(bearer, prints[0].elements * len(prints), sum(known) & _MASK)


def _blocks(terms: Iterable[Term]) -> Iterator[list[Term]]:
    """Yield the terms of each block of the model, single ones and stacks apart."""
    blocks: dict[tuple[int, tuple[int, ...]], list[Term]] = {}
    for term in terms:
        size = len(term.bearer.keys)
        blocks.setdefault((size, context(term.bearer.name)), []).append(term)
    yield from (block for block in blocks.values() if len(block) > 1)


def _joined(
    terms: Sequence[Term], wanted: Collection[Total]
) -> Iterator[tuple[Total, tuple[Bearer, ...]]]:
    """Yield the terms, two or more, that give a wanted sum."""
    for most, size in _MOST_OF:
        if len(terms) > most:
            continue
        for chosen in itertools.combinations(terms, size):
            total = sum(term.elements for term in chosen), sum(term.sum for term in chosen) & _MASK
            if total in wanted:
                yield total, tuple(term.bearer for term in chosen)
