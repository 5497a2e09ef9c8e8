"""LoRA adapters added to the weights that they are for, as peft's merge_and_unload does."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from caten_sd.errors import LayoutError
from caten_sd.files.adapter_keys import by_key
from caten_sd.files.adapter_magnitudes import Rescaling, magnitudes_by_key
from caten_sd.files.adapter_pairs import AdapterPair, read_pairs
from caten_sd.files.adapter_refusals import bias_key, check_pair, refuse_two_with_magnitudes
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.files.config import adapter_config_of
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.state.leaf import spec
from caten_sd.state.low_rank import Multiple, Term, WeightSum
from caten_sd.state.options import checked_options
from caten_sd.state.packed_weights import packed_groups
from caten_sd.state.rescaled_sum import RescaledSum
from caten_sd.state.state_dict import StateDict, as_state_dict
from caten_sd.wording import counted, first_few

Adapter = str | os.PathLike[str] | Mapping[str, Any]


class Merge(NamedTuple):
    """The state dict with the sums, and what was added to what."""

    state_dict: StateDict
    notes: tuple[str, ...]


@checked_options()
def merge_lora(state_dict: Mapping[str, Any], adapter: Adapter) -> StateDict:
    """Return the state dict with a LoRA adapter added to its weights; sums are made when read.

    ``adapter`` is a location or a state dict, in the names of peft, diffusers or kohya, for a model
    in the names of its library. A weight becomes W + alpha / rank * B @ A, rounded once. A pair of
    DoRA then gives its rows the norms that are its magnitudes. A tensor that the adapter has whole,
    as of ``modules_to_save``, takes the place of another. LayoutError if a pair has no weight, or
    if its weight is packed.

    >>> import numpy
    >>> pair = {"fc.lora_A.weight": numpy.ones((1, 2)), "fc.lora_B.weight": numpy.ones((2, 1))}
    >>> adapter = StateDict({**pair, "fc.alpha": numpy.array(3.0)})
    >>> merge_lora({"fc.weight": numpy.eye(2)}, adapter)["fc.weight"].numpy().tolist()
    [[4.0, 3.0], [3.0, 4.0]]
    """
    return merged(as_state_dict(state_dict), adapter).state_dict


def adapter_state(adapter: Adapter) -> StateDict:
    """Return the state dict of an adapter, with what its adapter_config.json says."""
    if isinstance(adapter, Mapping):
        return as_state_dict(adapter)
    state = read_state_dict(adapter, streaming=True)
    state.config = adapter_config_of(Path(adapter))
    return state


def merged(given: StateDict, adapter: Adapter) -> Merge:
    """Return the state dict with an adapter added to its weights, and what was added.

    Where the adapter does not have the names of the model, it may have those that the layout of the
    model has for it, as an adapter of diffusers for a file of ldm. The model keeps its names.
    """
    pairs = adapter_state(adapter)
    try:
        return _added(given, pairs)
    except LayoutError:
        layout = detect_layout(given).layout
        if layout is None or layout.is_canonical:
            raise
    names = to_layout(given, layout.canonical, from_layout=layout, silent=True)
    found = _added(names, pairs)
    back = to_layout(found.state_dict, layout, from_layout=layout.canonical, silent=True)
    entry = {key: back[key] for key in given}
    return Merge(given.with_entry(entry, paths=given.paths, ties=given.ties), found.notes)


def _added(given: StateDict, adapter: StateDict) -> Merge:
    content = read_pairs(adapter, list(given))
    packed = {key for weight, others in packed_groups(given).items() for key in (weight, *others)}
    pairs, full, absent = by_key(content, given)
    state = _with_whole(given, full)
    for pair, key in pairs:
        check_pair(pair, key, state, packed)
    refuse_two_with_magnitudes(pairs, state)
    made = _sums(pairs, state)
    entry = {key: made.get(id(leaf), leaf) for key, leaf in state.items()}
    result = state.with_entry(entry, paths=state.paths, ties=state.ties)
    return Merge(result, tuple(_notes(pairs, full, absent)))


def _sums(pairs: Sequence[tuple[AdapterPair, str]], state: StateDict) -> dict[int, Any]:
    """Return the sums by the leaf that each is of: tied keys share one leaf, and so one sum."""
    magnitudes = magnitudes_by_key(
        [
            Rescaling(key, spec(state[key]).shape, pair.magnitudes, pair.product.turned)
            for pair, key in pairs
            if pair.magnitudes is not None
        ]
    )
    terms: dict[int, list[Term]] = {}
    made: dict[int, Any] = {}
    for pair, key in pairs:
        leaf = state[key]
        if key in magnitudes:
            made[id(leaf)] = RescaledSum(leaf, pair.product, magnitudes[key])
            continue
        terms.setdefault(id(leaf), []).append(pair.product)
        if pair.bias is not None:
            bias = state[bias_key(key, pair, state)]
            terms.setdefault(id(bias), []).append(Multiple(pair.bias, pair.product.scale))
    sums = {id(leaf): leaf for leaf in state.values() if id(leaf) in terms}
    return made | {of: WeightSum(leaf, terms[of]) for of, leaf in sums.items()}


def _with_whole(state: StateDict, full: Mapping[str, Any]) -> StateDict:
    """Return the state dict with the tensors that an adapter has whole; pairs may be for them."""
    if not full:
        return state
    entry = {key: full.get(key, leaf) for key, leaf in state.items()}
    return state.with_entry(entry, paths=state.paths)


def _notes(
    pairs: Sequence[tuple[AdapterPair, str]], full: Mapping[str, Any], absent: Mapping[str, int]
) -> Iterable[str]:
    scales = sorted({pair.product.scale for pair, _ in pairs})
    scale = f"scale {scales[0]:g}" if len(scales) == 1 else f"{len(scales)} scales"
    weights = counted(len({key for _, key in pairs}), "weight")
    of_dora = sum(pair.magnitudes is not None for pair, _ in pairs)
    rescaled = f", {of_dora} with the magnitudes of DoRA" if of_dora else ""
    yield f"{counted(len(pairs), 'pair')} of the adapter added to {weights}, {scale}{rescaled}"
    if full:
        tensors = counted(len(full), "tensor")
        yield f"{tensors} taken whole from the adapter: {first_few(list(full), 3)}"
    for part, count in absent.items():
        pairs_of = counted(count, "pair was", "pairs were")
        yield f"{pairs_of} left out: the model has no layer of its {part}"
