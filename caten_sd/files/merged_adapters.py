"""LoRA adapters added to the weights that they are for, as peft's merge_and_unload does."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import attrs

from caten_sd.errors import LayoutError
from caten_sd.errors.printable import one_line
from caten_sd.files.adapter_pairs import AdapterContent, AdapterPair, read_pairs
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.files.config import adapter_config_of
from caten_sd.files.expert_pairs import turned_alike
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.state.leaf import spec
from caten_sd.state.low_rank import Multiple, StackedLowRank, Term, WeightSum
from caten_sd.state.options import checked_options
from caten_sd.state.packed_weights import packed_groups
from caten_sd.state.state_dict import StateDict, as_state_dict
from caten_sd.wording import counted, first_few

_MOST_SEGMENTS = 16  # that a path may have before the model's own; wrappers add three

Adapter = str | os.PathLike[str] | Mapping[str, Any]


class Merge(NamedTuple):
    """The state dict with the sums, and what was added to what."""

    state_dict: StateDict
    notes: tuple[str, ...]


@checked_options()
def merge_lora(state_dict: Mapping[str, Any], adapter: Adapter) -> StateDict:
    """Return the state dict with a LoRA adapter added to its weights; sums are made when read.

    ``adapter`` is a location or a state dict, in the names of peft, diffusers or kohya, for a model
    in the names of its library. A weight becomes W + alpha / rank * B @ A, rounded once; a tensor
    that the adapter has whole, as of ``modules_to_save``, takes the place of another. LayoutError
    if a pair has no weight, or if its weight is packed.

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
    pairs, full, absent = _by_key(content, given)
    state = _with_whole(given, full)
    sums: dict[int, list[Term]] = {}  # tied keys share one leaf, and so one sum
    for pair, key in pairs:
        _check(pair, key, state, packed)
        sums.setdefault(id(state[key]), []).append(pair.product)
        if pair.bias is not None:
            bias = _bias(key, pair, state)
            sums.setdefault(id(state[bias]), []).append(Multiple(pair.bias, pair.product.scale))
    made = {
        id(leaf): WeightSum(leaf, sums[id(leaf)]) for leaf in state.values() if id(leaf) in sums
    }
    entry = {key: made.get(id(leaf), leaf) for key, leaf in state.items()}
    result = state.with_entry(entry, paths=state.paths, ties=state.ties)
    return Merge(result, tuple(_notes(pairs, full, absent)))


def _with_whole(state: StateDict, full: Mapping[str, Any]) -> StateDict:
    """Return the state dict with the tensors that an adapter has whole; pairs may be for them."""
    if not full:
        return state
    entry = {key: full.get(key, leaf) for key, leaf in state.items()}
    return state.with_entry(entry, paths=state.paths)


def _by_key(
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
    _check_full(full, state)
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


def _check(pair: AdapterPair, key: str, state: StateDict, packed: set[str]) -> None:
    """Refuse a pair for a weight that is not of floats, or that is of another shape."""
    known = spec(state[key])
    if key in packed or known.dtype.kind != "float":
        first = "to_floats(state_dict) in Python or --dtype f16 in the same command"
        remedy = first if key in packed else "caten-sd convert --dtype f16 before this step"
        raise LayoutError(
            f"{key} is {known.dtype}, and a pair of an adapter can be added to floats only; make "
            f"it a float first, by {remedy}"
        )
    product = pair.product
    dtypes = [spec(each).dtype for each in product.origins()]
    if odd := [dtype for dtype in dtypes if dtype.kind not in ("float", "block")]:
        raise LayoutError(
            f"the pair of {key} is {odd[0]} in the adapter, and a pair of LoRA is of floats; get "
            f"the adapter again"
        )
    if not product.fits(known.shape):
        down, up = (list(spec(each).shape) for each in product.origins())
        turned = " turned, as fan_in_fan_out states," if product.turned else ""
        raise LayoutError(
            f"{key} is {list(known.shape)}, and the product of its pair, {up} and {down},{turned} "
            f"is of another shape; give the model that the adapter was trained on"
        )


def _bias(key: str, pair: AdapterPair, state: StateDict) -> str:
    """Return the key of the bias to which that of a pair is added."""
    bias = f"{key.removesuffix('weight')}bias"
    if bias not in state or spec(state[bias]).shape != spec(pair.bias).shape:
        shape = list(spec(pair.bias).shape)
        raise LayoutError(
            f"the pair of {key} has a bias {shape}, and the model has no {bias} of that shape; "
            f"give the model that the adapter was trained on"
        )
    return bias


def _check_full(full: Mapping[str, Any], state: StateDict) -> None:
    """Refuse whole tensors of the adapter that take the place of none, or of another shape."""
    for key, leaf in full.items():
        shape = list(spec(leaf).shape)
        if key not in state:
            raise LayoutError(
                f"{one_line(key)} {shape} of the adapter is not of a pair of LoRA, and the model "
                f"has no tensor of that name; give an adapter of pairs of LoRA alone, or a model "
                f"that has it"
            )
        if list(spec(state[key]).shape) != shape:
            raise LayoutError(
                f"{key} is {list(spec(state[key]).shape)} in the model and {shape} in the adapter, "
                f"which has it whole; give a model of that size"
            )


def _notes(
    pairs: Sequence[tuple[AdapterPair, str]], full: Mapping[str, Any], absent: Mapping[str, int]
) -> Iterable[str]:
    scales = sorted({pair.product.scale for pair, _ in pairs})
    scale = f"scale {scales[0]:g}" if len(scales) == 1 else f"{len(scales)} scales"
    weights = counted(len({key for _, key in pairs}), "weight")
    yield f"{counted(len(pairs), 'pair')} of the adapter added to {weights}, {scale}"
    if full:
        tensors = counted(len(full), "tensor")
        yield f"{tensors} taken whole from the adapter: {first_few(list(full), 3)}"
    for part, count in absent.items():
        pairs_of = counted(count, "pair was", "pairs were")
        yield f"{pairs_of} left out: the model has no layer of its {part}"
