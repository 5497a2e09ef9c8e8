"""The canonical names of what an adapter has, whichever dialect it is written in."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.errors.printable import one_line
from caten_sd.files.adapter_scales import METADATA
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.known import find_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_plan import LayoutPlan, plan_layout
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
    r"|lora_magnitude_vector(\.\w+)?(\.weight)?|dora_scale"
    r"|(lora_|lora\.|lora_linear_layer\.|\w+_lora\.)(down|up)\.weight"
)
OF_PAIR = re.compile(r"^lora_|\.(lora_|lora\.|lora_linear_layer\.|\w+_lora\.|alpha$|dora_scale$)")
# Adapters that are not a sum with products of two matrices, and what their keys have.
_OTHER_KINDS = {
    "LoHa": ".hada_",
    "LoKr": ".lokr_",
    "OFT": ".oft_",
    "a product of three matrices": ".lora_mid.",
}
MAGNITUDES = "lora_magnitude_vector"  # of peft
DORA_SCALE = "dora_scale"  # what LyCORIS calls them
_MAGNITUDES = re.compile(rf"\.({MAGNITUDES}|{DORA_SCALE})(\.\w+)?(\.weight)?$")
_DOWN = ".lora_down.weight"
_ALPHA = ".alpha"
_ROLES = {
    ".lora_A.weight": "down",
    ".lora_B.weight": "up",
    ".lora_embedding_A": "down",
    ".lora_embedding_B": "up",
    ".lora_B.bias": "bias",
    f".{MAGNITUDES}": MAGNITUDES,
    f".{DORA_SCALE}": DORA_SCALE,
    _ALPHA: "alpha",
}


def _endings(key: str) -> list[str]:
    """Return the last one, two and three segments of a key."""
    segments = key.split(".")
    return [".".join(segments[-count:]) for count in (1, 2, 3)]


def refuse_unknown(own: Collection[str]) -> None:
    """Refuse keys that no pair of LoRA has."""
    refuse([key for key in own if not any(map(_KNOWN.fullmatch, _endings(key)))])


def refuse(keys: list[str]) -> None:
    """Refuse these keys, if there are any."""
    if keys:
        kinds = [kind for kind, sign in _OTHER_KINDS.items() if any(sign in key for key in keys)]
        verb = "is" if len(keys) == 1 else "are"
        of_kinds = f", which {verb} of {' and '.join(kinds)}," if kinds else ""
        raise LayoutError(
            f"{counted(len(keys), 'key')} of the adapter{of_kinds} cannot be added: "
            f"{first_few(keys, 3)}; give pairs of LoRA alone, in the names of peft, diffusers or "
            f"kohya, and the model that they are for in the names of its library"
        )


def by_canonical_names(
    adapter: StateDict, own: Mapping[str, Any], keys: Collection[str]
) -> tuple[dict[str, Any], list[str], str]:
    """Return the leaves by the canonical names of LoRA, keys that have none, and the dialect."""
    joined = any(key.startswith("lora_") for key in own)
    apart = {key: leaf for key, leaf in own.items() if _is_apart(key, joined)}
    metadata = {name: each for name, each in adapter.metadata.items() if name != METADATA}
    metadata.pop(STAMP, None)
    state = StateDict(
        {key: leaf for key, leaf in own.items() if key not in apart}, metadata=metadata
    )
    paths = _model_paths(keys) if joined else None
    plan = _plan(state, paths)
    found = dict(plan.state_dict)
    if joined:
        found.update(_magnitudes_of_joined(apart, plan.source, paths))
    else:  # what a layout takes for alpha is not what the adapter states
        found = {without_model(key): leaf for key, leaf in found.items() if role(key)[1] != "alpha"}
        found.update(_renamed(apart, _without_names))
    untaken = [
        key for key in found if (joined and key.startswith("lora_")) or role(key) == ("", "")
    ]
    known = {key: leaf for key, leaf in found.items() if key not in untaken}
    return known, untaken, plan.source.name


def _is_apart(key: str, joined: bool) -> bool:
    """Return whether the layouts of LoRA are not asked for the name of a key."""
    return bool(_MAGNITUDES.search(key)) or (not joined and key.endswith(_ALPHA))


def _without_names(key: str) -> str:
    """Return a key without what a model and an adapter's name add to it."""
    return _MAGNITUDES.sub(r".\1", without_model(key))


def _as_its_pair(key: str) -> str:
    """Return the joined name of the pair for that of its magnitudes.

    diffusers leaves a dot in the names of magnitudes that it writes for kohya.
    """
    return _MAGNITUDES.sub("", key).replace(".", "_") + _DOWN


def _renamed(apart: Mapping[str, Any], name: Callable[[str], str]) -> dict[str, Any]:
    """Return leaves by other names; LayoutError if two get one."""
    first: dict[str, str] = {}
    for key in apart:
        if first.setdefault(name(key), key) != key:
            raise LayoutError(
                f"{one_line(first[name(key)])} and {one_line(key)} of the adapter are both for one "
                f"pair; leave one of them out"
            )
    return {new: apart[key] for new, key in first.items()}


def _magnitudes_of_joined(
    apart: Mapping[str, Any], origin: Layout, paths: list[str] | None
) -> dict[str, Any]:
    """Return magnitudes by their canonical names; each layer is found by the name of its pair."""
    layers = StateDict(_renamed(apart, _as_its_pair))
    found = dict(_plan_from(layers, origin, paths).state_dict) if layers else {}
    names = {key: re.sub(r"\.lora_A\.weight$|\.lora_down\.weight$", "", key) for key in found}
    return {f"{names[key]}.{DORA_SCALE}": leaf for key, leaf in found.items()}


def _plan_from(state: StateDict, origin: Layout, paths: list[str] | None) -> LayoutPlan:
    canonical = find_layout("peft-lora").canonical
    return plan_layout(state, canonical, from_layout=origin, config={}, against=paths, lora_alpha=1)


def _plan(state: StateDict, paths: list[str] | None) -> LayoutPlan:
    """Return the plan to the canonical names of LoRA.

    Names that are joined are first looked for among the paths, those of the model itself.
    """
    all_joined = paths is not None and all(key.startswith("lora_") for key in state)
    plans = [_plan_from(state, find_layout("kohya-lora"), paths)] if all_joined else []
    if not plans or plans[0].findings.untaken:
        are_canonical = all(role(key) != ("", "") for key in state)
        canonical = find_layout("peft-lora").canonical if are_canonical else None
        origin = detect_layout(state).layout or canonical
        plans += [_plan_from(state, origin, paths)] if origin else []
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


def without_model(key: str) -> str:
    """Return a key without what peft puts before the names of the model."""
    return key.removeprefix("base_model.model.")


def part_of_kohya(key: str) -> str:
    """Return the part of a pipeline that a name of kohya begins with, or ""."""
    for part, starts in PARTS.items():
        if key.startswith(tuple(starts.split())):
            return part
    return ""


def parts_without_model(untaken: list[str], found: Mapping[str, Any]) -> dict[str, int]:
    """Return the parts of which no pair has a layer, with the number of their pairs."""
    counts: dict[str, int] = {}
    for key in untaken:
        if (part := part_of_kohya(key)) and key.endswith("lora_up.weight"):
            counts[part] = counts.get(part, 0) + 1
    there = {key.partition(".")[0] for key in found}
    return {part: count for part, count in counts.items() if part not in there and there}


def role(key: str) -> tuple[str, str]:
    """Return the path of a pair and what of it a canonical key has; "" twice for any other key."""
    for ending, found in _ROLES.items():
        if key.endswith(ending):
            return key.removesuffix(ending), found
    return "", ""
