"""The pairs of a LoRA adapter in any dialect: two narrow matrices, and the scale of their product.

peft has alpha in adapter_config.json, kohya next to the pair, and diffusers takes the rank for it
unless the metadata of the file have more.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import attrs

from caten_sd.errors import LayoutError
from caten_sd.errors.printable import one_line
from caten_sd.files.adapter_magnitudes import AdapterMagnitudes, magnitudes_of
from caten_sd.files.adapter_names import (
    DORA_SCALE,
    MAGNITUDES,
    OF_PAIR,
    PARTS,
    by_canonical_names,
    part_of_kohya,
    parts_without_model,
    refuse,
    refuse_unknown,
    role,
    without_model,
)
from caten_sd.files.adapter_scales import check_config, scale_of, stated_of
from caten_sd.files.expert_pairs import BASE_LAYER, rank_of_experts, stacked_parameters
from caten_sd.state.leaf import spec
from caten_sd.state.low_rank import LowRank, StackedLowRank
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import first_few


@attrs.frozen
class AdapterPair:
    """A pair: the path of its layer, the product, and the bias and magnitudes, if there are any.

    ``parameters`` are the names of the tensors of the layer that it may be for, where it is for one
    that has its experts stacked.
    """

    path: str
    product: LowRank | StackedLowRank
    bias: Any = None
    parameters: tuple[str, ...] = ()
    magnitudes: AdapterMagnitudes | None = None

    @property
    def part(self) -> str:
        """The part of a pipeline that it is for, or ""."""
        first = self.path.partition(".")[0]
        return first if first in PARTS else ""

    def keys(self, path: str) -> tuple[str, ...]:
        """Return the keys that its weight may have, for the path that the model has for it."""
        names = self.parameters or ("weight", "qweight")
        return tuple(f"{path}.{name}" for name in names)


@attrs.frozen
class AdapterContent:
    """The pairs of an adapter, full tensors that replace others, and the parts without a model."""

    pairs: tuple[AdapterPair, ...]
    full: Mapping[str, Any]
    without_model: Mapping[str, int]  # how many pairs of each part the names of kohya have


def read_pairs(adapter: StateDict, keys: Collection[str]) -> AdapterContent:
    """Return the pairs of an adapter; ``keys`` are those of the models that it is for.

    LayoutError if a key of the adapter is neither of a pair nor a tensor of a model.
    """
    config = adapter.config if isinstance(adapter.config, Mapping) else {}
    check_config(config)
    own = {key: leaf for key, leaf in adapter.items() if OF_PAIR.search(key)}
    full = _full({key: leaf for key, leaf in adapter.items() if key not in own})
    if not own:
        raise LayoutError(
            f"the keys of the adapter are not of pairs of LoRA: it has "
            f"{first_few(list(adapter), 3) or 'none'}; give the file that has the pairs"
        )
    refuse_unknown(own)
    canonical, untaken, dialect = by_canonical_names(adapter, own, keys)
    absent = parts_without_model(untaken, canonical)
    refuse([key for key in untaken if part_of_kohya(key) not in absent])
    return AdapterContent(tuple(_pairs(canonical, adapter, config, dialect)), full, absent)


def _full(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tensors that an adapter has whole, by the keys of the model."""
    found: dict[str, str] = {}
    for key in tensors:
        first = found.setdefault(_full_name(key), key)
        if first != key:
            raise LayoutError(
                f"{first} and {key} of the adapter are both {_full_name(key)} of the model; leave "
                f"one of them out"
            )
    return {name: tensors[key] for name, key in found.items()}


def _full_name(key: str) -> str:
    """Return the key of the model for a tensor that an adapter has whole."""
    return re.sub(
        r"\.(base_layer|modules_to_save(\.default)?|modules_to_save\.\w+)(?=\.)",
        "",
        without_model(key),
    )


def _pairs(
    canonical: Mapping[str, Any], adapter: StateDict, config: Mapping[str, Any], dialect: str
) -> Iterator[AdapterPair]:
    layers: dict[str, dict[str, Any]] = {}
    for key, leaf in canonical.items():
        path, part = role(key)
        layers.setdefault(path, {})[part] = leaf
        if key.endswith((".lora_embedding_A", ".lora_embedding_B")):
            layers[path]["embedding"] = True
    for path, found in layers.items():
        _check_both(path, found)
        stated = stated_of(path, adapter.metadata, config, dialect)
        if parameters := stacked_parameters(path, config):
            yield _stacked(path, found, config, parameters)
            continue
        rank = (*spec(found["down"]).shape, 0)[0]
        scale = scale_of(path, rank, found.get("alpha"), stated)
        embedding = "embedding" in found
        turned = embedding or bool(config.get("fan_in_fan_out"))
        magnitudes = magnitudes_of(path, found, stated)
        rounded = embedding and magnitudes is None
        product = LowRank(found["down"], found["up"], scale, turned, rounded)
        yield AdapterPair(path, product, found.get("bias"), magnitudes=magnitudes)


def _check_both(path: str, found: Mapping[str, Any]) -> None:
    """Refuse a layer of which the adapter does not have both matrices."""
    there = [part for part in ("down", "up") if part in found]
    if len(there) < 2:
        has = there[0] if there else next(iter(found))
        lacks = "the other matrix" if there else "the matrices"
        raise LayoutError(
            f"{one_line(path)} of the adapter has {has} and not {lacks} of its pair; get the "
            f"adapter again"
        )


def _stacked(
    path: str, found: Mapping[str, Any], config: Mapping[str, Any], parameters: tuple[str, ...]
) -> AdapterPair:
    """Return the pair of a tensor, which may have experts stacked; the rank is that of one."""
    if config.get("use_dora") or MAGNITUDES in found or DORA_SCALE in found:
        raise LayoutError(
            f"the pair of {one_line(path)} has DoRA, and peft has none for a tensor of "
            f"target_parameters; get the adapter again"
        )
    if "bias" in found:
        raise LayoutError(
            f"the pair of {one_line(path)} has a bias, which a tensor of target_parameters does "
            f"not have; get the adapter again"
        )
    down, up = found["down"], found["up"]
    rank = rank_of_experts(path, spec(down).shape, config)
    scale = scale_of(path, rank, found.get("alpha"), config)
    alone = rank == spec(down).shape[0]
    product = (
        LowRank(down, up, scale, rounded=True) if alone else StackedLowRank(down, up, rank, scale)
    )
    return AdapterPair(path.replace(BASE_LAYER, ""), product, None, parameters)
