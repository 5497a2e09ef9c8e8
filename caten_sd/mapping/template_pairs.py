"""Pairs of keys as pairs of templates, with a key alone where two templates do not meet."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from caten_sd.mapping.key_templates import Template, templates


def paired_templates(
    a: Sequence[Template], b: Sequence[Template], found: Mapping[str, str]
) -> list[tuple[Template, Template]]:
    """Return the templates of pairs of keys, of one key each where numbers differ.

    >>> a, b = templates({"h.0.w": (2,), "h.1.w": (2,)}), templates({"l.0.w": (2,), "l.1.w": (2,)})
    >>> [pair[1].text for pair in paired_templates(a, b, {"h.0.w": "l.0.w", "h.1.w": "l.1.w"})]
    ['l.{i}.w']
    >>> [pair[1].text for pair in paired_templates(a, b, {"h.0.w": "l.1.w", "h.1.w": "l.0.w"})]
    ['l.1.w', 'l.0.w']
    """
    owners = {key: each for each in b for key in each.keys}
    pairs: list[tuple[Template, Template]] = []
    for one in a:
        met = {key: owners[found[key]] for key in one.keys if key in found}
        others = set(met.values())
        if len(others) == 1 and _are_paired(one, other := others.pop(), found):
            pairs.append((one, other))
        else:
            pairs += [(one.alone(key), other.alone(found[key])) for key, other in met.items()]
    return pairs


def _are_paired(one: Template, other: Template, found: Mapping[str, str]) -> bool:
    """Return whether each key of a template is paired with that of the same numbers."""
    return one.tensors == other.tensors and all(
        key in found and other.keys[found[key]] == numbers for key, numbers in one.keys.items()
    )


def without_keys(own: Sequence[Template], gone: Collection[str]) -> list[Template]:
    """Return the templates of all keys but some.

    >>> own = templates({"h.0.w": (2,), "h.1.w": (2,), "wte": (3,)})
    >>> [each.text for each in without_keys(own, {"h.0.w"})]
    ['wte', 'h.1.w']
    """
    parted = [each for each in own if any(key in gone for key in each.keys)]
    gone_from = set(parted)
    kept = [each for each in own if each not in gone_from]
    rest = {
        key: each.shapes[numbers]
        for each in parted
        for key, numbers in each.keys.items()
        if key not in gone
    }
    return kept + templates(rest)
