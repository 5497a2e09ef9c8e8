"""Tensors joined, split and stacked, found as sums of fingerprints that equal another one."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from caten_sd.proof.key_indices import context
from caten_sd.proof.weights import Bearer, Weights, stacks

_MASK = (1 << 64) - 1
_MOST_OF = ((60, 2), (40, 3), (20, 4), (12, 5))  # tensors that may be joined, and how many of them
_LARGEST = _MOST_OF[0][0]

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
    own = _not_too_large(weights, keys, level, max(count for count, _ in wanted))
    stacked = [term for each in stacks(own) if (term := _term(weights, each, level)) is not None]
    found: dict[Total, list[tuple[Bearer, ...]]] = {}
    for term in stacked:
        if (term.elements, term.sum) in wanted:
            found.setdefault((term.elements, term.sum), []).append((term.bearer,))
    for block in itertools.chain(_single_blocks(weights, own, level), _stack_blocks(stacked)):
        for total, joined in _joined(block, wanted):
            found.setdefault(total, []).append(joined)
    if not found and len(own) <= _LARGEST:
        for total, joined in _joined(_terms(weights, own, level), wanted):
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


def _not_too_large(weights: Weights, keys: Iterable[str], level: str, most: int) -> list[str]:
    """Return the keys of tensors that have no more than ``most`` elements with any other one."""
    counts = {
        key: weights.prints[key].elements
        for key in keys
        if weights.prints[key].sum(level) is not None
    }
    least = min(counts.values(), default=0)
    return [key for key, count in counts.items() if count + least <= most]


def _terms(weights: Weights, keys: Iterable[str], level: str) -> list[Term]:
    found = (_term(weights, Bearer((key,)), level) for key in keys)
    return [term for term in found if term is not None]


def _single_blocks(weights: Weights, keys: Iterable[str], level: str) -> Iterator[list[Term]]:
    """Yield the single tensors of each block of the model that is not too large to be joined."""
    blocks: dict[tuple[int, ...], list[str]] = {}
    for key in keys:
        blocks.setdefault(context(key), []).append(key)
    for block in blocks.values():
        if 1 < len(block) <= _LARGEST:
            yield _terms(weights, block, level)


def _stack_blocks(terms: Iterable[Term]) -> Iterator[list[Term]]:
    """Yield the stacks of each block of the model that are of as many tensors."""
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
