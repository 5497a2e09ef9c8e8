"""Pairs among tensors of equal values, where names leave only one way, and what shows each.

Nothing here is told by how alike two names are. A name counts where it is the same on both sides,
where tensors of the same names but for the numbers are paired by their values, where the other
tensors of a module are paired with those of one module, or where there is only one of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from caten_sd.proof.key_indices import filled, indexed, parent
from caten_sd.proof.pairing import Equal, Pairing
from caten_sd.proof.weights import Bearer, SameValues

BY_INDEX = "the name, as with other indices"
BY_MODULE = "the name, as the others of its module"
BY_NAME = "the same name"
BY_COUNT = "there is no other of these values"


def pair_by_names(found: Pairing) -> None:
    """Add the pairs to ``found``, and leave there what names do not tell."""
    _pair_repeated(found)
    for rule, said in ((_by_index, BY_INDEX), (_by_module, BY_MODULE), (_by_name, BY_NAME)):
        while _settle(found, rule(found), said) and rule is not _by_name:
            pass
    _settle(found, _by_module(found), BY_MODULE)
    _settle(found, _by_count(found), BY_COUNT)
    found.equal = [each for each in found.equal if each.a or each.b]
    for each in found.equal:
        found.a.update(dict.fromkeys(each.a))
        found.b.update(dict.fromkeys(each.b))


Choice = tuple[Equal, str, str]


def _settle(found: Pairing, choices: Iterable[Choice], said: str) -> bool:
    """Add the pairs that were chosen, if neither key is in two of them."""
    chosen = list(choices)
    here: dict[str, int] = {}
    there: dict[str, int] = {}
    for _, one, other in chosen:
        here[one] = here.get(one, 0) + 1
        there[other] = there.get(other, 0) + 1
    taken: dict[int, tuple[set[str], set[str]]] = {}
    for equal, one, other in chosen:
        if here[one] == there[other] == 1:
            found.add(SameValues((Bearer((one,)),), (Bearer((other,)),), equal.level, said))
            left, right = taken.setdefault(id(equal), (set(), set()))
            left.add(one)
            right.add(other)
    for equal in found.equal:
        if id(equal) in taken:
            left, right = taken[id(equal)]
            equal.a = [key for key in equal.a if key not in left]
            equal.b = [key for key in equal.b if key not in right]
    return bool(taken)


def _by_index(found: Pairing) -> Iterator[Choice]:
    """Yield the pairs that a pattern of names has, of which others are paired already."""
    patterns: dict[str, dict[str, list[tuple[tuple[int, ...], tuple[int, ...]]]]] = {}
    for match in found.matches:
        if all(len(keys) == 1 for keys in match.keys):
            (one,), (other,) = match.keys
            here, there = indexed(one), indexed(other)
            known = patterns.setdefault(here.template, {}).setdefault(there.template, [])
            if len(known) < 8:
                known.append((here.numbers, there.numbers))
    for equal in found.equal:
        others = set(equal.b)
        for key in equal.a:
            here = indexed(key)
            names = {
                filled(template, numbers)
                for template, samples in patterns.get(here.template, {}).items()
                if (numbers := _numbers(here.numbers, samples)) is not None
            }
            if len(met := names & others) == 1:
                yield equal, key, met.pop()


def _numbers(
    own: tuple[int, ...], samples: list[tuple[tuple[int, ...], tuple[int, ...]]]
) -> list[int] | None:
    """Return the numbers of the other name, if the samples tell which of its own each one is."""
    found = []
    for hole in range(len(samples[0][1])):
        values = {there[hole] for _, there in samples}
        same = {
            own[place]
            for place in range(len(own))
            if all(here[place] == there[hole] for here, there in samples)
        }
        if len(values) == 1 and len(samples) > 1:
            found.append(values.pop())
        elif len(same) == 1:
            found.append(same.pop())
        else:
            return None
    return found


def _by_module(found: Pairing) -> Iterator[Choice]:
    """Yield the pairs within two modules, all of whose other tensors are paired with each other."""
    modules: tuple[dict[str, set[str]], dict[str, set[str]]] = ({}, {})
    for match in found.matches:
        a, b = match.keys
        for known, one, other in ((modules[0], a, b), (modules[1], b, a)):
            for key in one:
                known.setdefault(parent(key), set()).update(map(parent, other))
    for equal in found.equal:
        here, there = _by_parent(equal.a), _by_parent(equal.b)
        for module, keys in here.items():
            others = modules[0].get(module, set())
            if module and len(keys) == 1 and len(others) == 1:
                (another,) = others
                if modules[1].get(another) == {module} and len(there.get(another, ())) == 1:
                    yield equal, keys[0], there[another][0]


def _by_parent(keys: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault(parent(key), []).append(key)
    return found


def _by_name(found: Pairing) -> Iterator[Choice]:
    for equal in found.equal:
        others = set(equal.b)
        yield from ((equal, key, key) for key in equal.a if key in others)


def _by_count(found: Pairing) -> Iterator[Choice]:
    for equal in found.equal:
        if len(equal.a) == len(equal.b) == 1:
            yield equal, equal.a[0], equal.b[0]


def _pair_repeated(found: Pairing) -> None:
    """Take tensors that one state has once and the other several times, as those that are tied."""
    for equal in found.equal:
        if equal.is_constant or 1 not in (len(equal.a), len(equal.b)):
            continue
        if len(equal.a) == len(equal.b):
            continue
        same = [key for key in equal.a if key in equal.b]
        one, other = (same * 2)[:2] if same else (equal.a[0], equal.b[0])
        for keys, first, known in zip(
            (equal.a, equal.b), (one, other), found.repeated, strict=True
        ):
            known.update({key: first for key in keys if key != first})
        said = BY_NAME if same else "the first of the names of these values"
        found.add(SameValues((Bearer((one,)),), (Bearer((other,)),), equal.level, said))
        equal.a, equal.b = [], []
