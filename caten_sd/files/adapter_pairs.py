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
from caten_sd.files.adapter_scales import METADATA, check_config, scale_of, stated_of
from caten_sd.files.expert_pairs import BASE_LAYER, rank_of_experts, stacked_parameters
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.known import find_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_plan import LayoutPlan, plan_layout
from caten_sd.state.leaf import spec
from caten_sd.state.low_rank import LowRank, StackedLowRank
from caten_sd.state.state_dict import STAMP, StateDict
from caten_sd.wording import counted, first_few

# The parts of a pipeline, with what kohya calls each.
PARTS = {
    "unet": "lora_unet_",
    "transformer": "lora_transformer_",
    "text_encoder": "lora_te_ lora_te1_",
    "text_encoder_2": "lora_te2_",
}
_KNOWN = re.compile(
    r"alpha|lora_embedding_[AB](\.default)?|lora_[AB](\.default)?\.(weight|bias)"
    r"|(lora_|lora\.|lora_linear_layer\.|\w+_lora\.)(down|up)\.weight"
)
_OF_PAIR = re.compile(r"^lora_|\.(lora_|lora\.|lora_linear_layer\.|\w+_lora\.|alpha$)")
# Adapters that are not a sum with products of two matrices, and what their keys have.
_OTHER_KINDS = {
    "LoHa": ".hada_",
    "LoKr": ".lokr_",
    "DoRA": ".dora_scale",
    "OFT": ".oft_",
    "a product of three matrices": ".lora_mid.",
}
_ALPHA = ".alpha"
_ROLES = {
    ".lora_A.weight": "down",
    ".lora_B.weight": "up",
    ".lora_embedding_A": "down",
    ".lora_embedding_B": "up",
    ".lora_B.bias": "bias",
}


@attrs.frozen
class AdapterPair:
    """A pair: the path of its layer, the product, and the bias that comes with it, if any.

    ``parameters`` are the names of the tensors of the layer that it may be for, where it is for one
    that has its experts stacked.
    """

    path: str
    product: LowRank | StackedLowRank
    bias: Any = None
    parameters: tuple[str, ...] = ()

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
    own = {key: leaf for key, leaf in adapter.items() if _OF_PAIR.search(key)}
    full = _full({key: leaf for key, leaf in adapter.items() if key not in own})
    if not own:
        raise LayoutError(
            f"the keys of the adapter are not of pairs of LoRA: it has "
            f"{first_few(list(adapter), 3) or 'none'}; give the file that has the pairs"
        )
    odd = [key for key in own if not any(map(_KNOWN.fullmatch, _endings(key)))]
    _refuse(odd)
    canonical, untaken, dialect = _canonical(adapter, own, keys)
    without_model = _parts_without_model(untaken, canonical)
    _refuse([key for key in untaken if _part_of_kohya(key) not in without_model])
    return AdapterContent(tuple(_pairs(canonical, adapter, config, dialect)), full, without_model)


def _endings(key: str) -> list[str]:
    """Return the last one, two and three segments of a key."""
    segments = key.split(".")
    return [".".join(segments[-count:]) for count in (1, 2, 3)]


def _refuse(keys: list[str]) -> None:
    if keys:
        kinds = [kind for kind, sign in _OTHER_KINDS.items() if any(sign in key for key in keys)]
        verb = "is" if len(keys) == 1 else "are"
        of_kinds = f", which {verb} of {' and '.join(kinds)}," if kinds else ""
        raise LayoutError(
            f"{counted(len(keys), 'key')} of the adapter{of_kinds} cannot be added: "
            f"{first_few(keys, 3)}; give pairs of LoRA alone, in the names of peft, diffusers or "
            f"kohya, and the model that they are for in the names of its library"
        )


def _canonical(
    adapter: StateDict, own: Mapping[str, Any], keys: Collection[str]
) -> tuple[dict[str, Any], list[str], str]:
    """Return the leaves by the canonical names of LoRA, keys that have none, and the dialect."""
    joined = any(key.startswith("lora_") for key in own)
    apart = {} if joined else {key: leaf for key, leaf in own.items() if key.endswith(_ALPHA)}
    metadata = {name: each for name, each in adapter.metadata.items() if name != METADATA}
    metadata.pop(STAMP, None)
    state = StateDict(
        {key: leaf for key, leaf in own.items() if key not in apart}, metadata=metadata
    )
    plan = _plan(state, keys, joined)
    found = dict(plan.state_dict)
    if not joined:  # what a layout takes for alpha is not what the adapter states
        found = {key: leaf for key, leaf in found.items() if not key.endswith(_ALPHA)}
    found.update((_without_model(key), leaf) for key, leaf in apart.items())
    untaken = [
        key for key in found if (joined and key.startswith("lora_")) or _role(key) == ("", "")
    ]
    known = {key: leaf for key, leaf in found.items() if key not in untaken}
    return known, untaken, plan.source.name


def _plan(state: StateDict, keys: Collection[str], joined: bool) -> LayoutPlan:
    """Return the plan to the canonical names of LoRA.

    Names that are joined are first looked for among those of the model itself.
    """
    canonical = find_layout("peft-lora").canonical
    paths = _model_paths(keys) if joined else None

    def plan_from(origin: Layout) -> LayoutPlan:
        return plan_layout(
            state, canonical, from_layout=origin, config={}, against=paths, lora_alpha=1
        )

    all_joined = joined and all(key.startswith("lora_") for key in state)
    plans = [plan_from(find_layout("kohya-lora"))] if all_joined else []
    if not plans or plans[0].findings.untaken:
        are_canonical = all(_role(key) != ("", "") for key in state)
        origin = detect_layout(state).layout or (canonical if are_canonical else None)
        plans += [plan_from(origin)] if origin else []
    if not plans:
        raise LayoutError(
            f"the names of the adapter are not of one dialect, peft's, diffusers' or kohya's: "
            f"{first_few(list(state), 3)}; give an adapter that one of these libraries wrote"
        )
    return min(plans, key=lambda plan: len(plan.findings.untaken))


def _model_paths(keys: Collection[str]) -> list[str]:
    """Return the keys of models, without the part of the pipeline that they begin with.

    Text models have theirs with the segment, too, that transformers 5 leaves out of them.
    """
    apart = (key.partition(".") for key in keys)
    paths = [rest if first in PARTS and rest else first + dot + rest for first, dot, rest in apart]
    return paths + [f"text_model.{path}" for path in paths if path.startswith("encoder.layers.")]


def _without_model(key: str) -> str:
    return key.removeprefix("base_model.model.")


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
        _without_model(key),
    )


def _part_of_kohya(key: str) -> str:
    for part, starts in PARTS.items():
        if key.startswith(tuple(starts.split())):
            return part
    return ""


def _parts_without_model(untaken: list[str], found: Mapping[str, Any]) -> dict[str, int]:
    """Return the parts of which no pair has a layer, with the number of their pairs."""
    counts: dict[str, int] = {}
    for key in untaken:
        if (part := _part_of_kohya(key)) and key.endswith("lora_up.weight"):
            counts[part] = counts.get(part, 0) + 1
    there = {key.partition(".")[0] for key in found}
    return {part: count for part, count in counts.items() if part not in there and there}


def _role(key: str) -> tuple[str, str]:
    """Return the path of a pair and what of it a canonical key has; "" twice for any other key."""
    for ending, role in (*_ROLES.items(), (_ALPHA, "alpha")):
        if key.endswith(ending):
            return key.removesuffix(ending), role
    return "", ""


def _pairs(
    canonical: Mapping[str, Any], adapter: StateDict, config: Mapping[str, Any], dialect: str
) -> Iterator[AdapterPair]:
    layers: dict[str, dict[str, Any]] = {}
    for key, leaf in canonical.items():
        path, role = _role(key)
        layers.setdefault(path, {})[role] = leaf
        if key.endswith((".lora_embedding_A", ".lora_embedding_B")):
            layers[path]["embedding"] = True
    for path, found in layers.items():
        if "down" not in found or "up" not in found:
            there = ", ".join(role for role in found if role in ("down", "up")) or "alpha"
            raise LayoutError(
                f"{one_line(path)} of the adapter has {there} and not the other matrix of its "
                f"pair; get the adapter again"
            )
        stated = stated_of(path, adapter.metadata, config, dialect)
        if parameters := stacked_parameters(path, config):
            yield _stacked(path, found, config, parameters)
            continue
        rank = (*spec(found["down"]).shape, 0)[0]
        scale = scale_of(path, rank, found.get("alpha"), stated)
        embedding = "embedding" in found
        turned = embedding or config.get("fan_in_fan_out") is True
        product = LowRank(found["down"], found["up"], scale, turned, embedding)
        yield AdapterPair(path, product, found.get("bias"))


def _stacked(
    path: str, found: Mapping[str, Any], config: Mapping[str, Any], parameters: tuple[str, ...]
) -> AdapterPair:
    """Return the pair of a tensor, which may have experts stacked; the rank is that of one."""
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
