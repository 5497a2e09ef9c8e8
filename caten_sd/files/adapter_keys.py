"""For which weight of a model each pair of an adapter is, by the keys of the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from caten_sd.errors import LayoutError
from caten_sd.errors.printable import one_line
from caten_sd.files.adapter_pairs import AdapterContent, AdapterPair
from caten_sd.files.adapter_refusals import check_full
from caten_sd.files.expert_pairs import turned_alike
from caten_sd.state.leaf import spec
from caten_sd.state.low_rank import StackedLowRank
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import first_few

_MOST_SEGMENTS = 16  # that a path may have before the model's own; wrappers add three


def by_key(
    content: AdapterContent, state: StateDict
) -> tuple[list[tuple[AdapterPair, str]], dict[str, Any], Mapping[str, int]]:
    """Return the pairs with the keys of their weights, whole tensors, and parts without a model."""
    absent = Counter(content.without_model)
    parts = {pair.part for pair in content.pairs}
    starts = {part: _start_of(part, content, state) for part in parts}
    found = []
    for part in sorted(part for part, start in starts.items() if start is None):
        absent[part] += sum(pair.part == part for pair in content.pairs)
    for pair in content.pairs:
        start = starts[pair.part]
        if start is not None:
            found.append((pair, _weight_key(start, pair, state)))
    if not found or starts.get("", ()) is None:
        paths = first_few([pair.path for pair in content.pairs], 2)
        raise LayoutError(
            f"no pair of the adapter has a weight in the model: its layers are {paths}, and the "
            f"keys of the model {first_few(list(state), 2)}; give the model that it was trained "
            f"on, in the names of its library"
        )
    found = _turned(found, state)
    _refuse_two_parts(found)
    start = starts.get("", ("", ""))
    full = {_moved(start or ("", ""), key): leaf for key, leaf in content.full.items()}
    check_full(full, state)
    return found, full, absent


Start = tuple[str, str]  # what the path of a pair begins with, and what the key has for it


def _start_of(part: str, content: AdapterContent, state: StateDict) -> Start | None:
    """Return how the paths of a part begin here; None if the model has none of its layers."""
    pairs = [pair for pair in content.pairs if pair.part == part]
    inner = f"{part}.text_model."  # transformers 5 has no such segment
    known = [("", ""), (f"{part}.", ""), (inner, f"{part}."), (inner, "")]
    for start in known if part else known[:1]:
        if any(_key_of(start, pair, state) for pair in pairs):
            return start
    if part:
        return None
    found = dict.fromkeys(_other_starts(pairs[0], state))
    fitting = [start for start in found if all(_key_of(start, pair, state) for pair in pairs)]
    return fitting[0] if len(fitting) == 1 else None


def _other_starts(pair: AdapterPair, keys: Iterable[str]) -> Iterable[Start]:
    """Yield the beginnings with which a path, or its rest after some segments, is in a model."""
    segments = pair.path.split(".")
    endings = tuple(f".{key}" for key in pair.keys(pair.path))
    for count in range(min(len(segments), _MOST_SEGMENTS)):
        if all(segment.isidentifier() for segment in segments[:count]):
            yield ".".join((*segments[:count], "")) if count else "", ""
    for key in keys:
        if key.endswith(endings):
            yield "", key[: key.rindex(f".{pair.path}.") + 1]


def _moved(start: Start, path: str) -> str:
    return start[1] + path[len(start[0]) :] if path.startswith(start[0]) else path


def _key_of(start: Start, pair: AdapterPair, state: StateDict) -> str | None:
    """Return the key of the weight of a pair, packed or not."""
    keys = [key for key in pair.keys(_moved(start, pair.path)) if key in state]
    if pair.parameters:
        keys = [key for key in keys if pair.product.may_fit(spec(state[key]).shape)]
        if len(keys) > 1:
            raise LayoutError(
                f"the pair of {one_line(pair.path)} may be for {' or '.join(keys)} by its shape, "
                f"and nothing distinguishes them; merge the adapter with peft's merge_and_unload"
            )
    return keys[0] if keys else None


def _weight_key(start: Start, pair: AdapterPair, state: StateDict) -> str:
    key = _key_of(start, pair, state)
    if key is None and pair.parameters:
        down, up = (list(spec(each).shape) for each in pair.product.origins())
        raise LayoutError(
            f"{one_line(_moved(start, pair.path))} of the model has no "
            f"{' or '.join(pair.parameters)} to which the pairs {up} and {down} of its experts can "
            f"be added; give the model that the adapter was trained on, with stacked experts"
        )
    if key is None:
        raise LayoutError(
            f"{one_line(_moved(start, pair.path))}.weight, to which a pair of the adapter is to be "
            f"added, is not in the model; give the model that the adapter was trained on"
        )
    return key


def _turned(
    found: Sequence[tuple[AdapterPair, str]], state: StateDict
) -> list[tuple[AdapterPair, str]]:
    """Return the pairs, those for experts with the order of axes that their shapes show."""
    stacked = [
        (key, pair.product, spec(state[key]).shape)
        for pair, key in found
        if isinstance(pair.product, StackedLowRank)
    ]
    products = turned_alike(stacked)
    return [
        (attrs.evolve(pair, product=products.get(key, pair.product)), key) for pair, key in found
    ]


def _refuse_two_parts(found: Sequence[tuple[AdapterPair, str]]) -> None:
    """Refuse pairs of two parts of a pipeline for one weight."""
    parts: dict[str, str] = {}
    for pair, key in found:
        if parts.setdefault(key, pair.part) != pair.part:
            raise LayoutError(
                f"{key} has a pair of {parts[key]} and one of {pair.part} in the adapter, and "
                f"nothing distinguishes them; give the whole folder of the pipeline"
            )
