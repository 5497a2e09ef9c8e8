"""The scale of a pair of LoRA: alpha / rank, or alpha / sqrt(rank) for rslora."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Mapping
from typing import Any

from caten_sd.errors import FormatError, LayoutError
from caten_sd.errors.printable import one_line
from caten_sd.files.adapter_fields import check_fields
from caten_sd.state.json_text import parse_json
from caten_sd.state.leaf import Numpy, as_array, spec

# What adds something else than the product, or changes the base when peft loads the adapter.
_OTHERS = (
    "use_qalora",
    "use_bdlora",
    "layer_replication",
    "alora_invocation_tokens",
    "arrow_config",
    "trainable_token_indices",
    "kasa_config",
    "monteclora_config",
    "velora_config",
)
_CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga", "milora")
_NAMES = re.compile(r"\^?(?:[\w-]|\\?\.)+")  # a pattern of names and dots alone
METADATA = "lora_adapter_metadata"  # of newer files of diffusers
_LARGEST = 3.4e38  # of what a float32 holds
_LONGEST = 100  # characters of a value that a message shows


def check_config(config: Mapping[str, Any]) -> None:
    """Refuse the configuration of an adapter whose weights are not a sum with products alone."""
    check_fields(config)
    kind = config.get("peft_type", "LORA")
    odd = [name for name in _OTHERS if config.get(name)]
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(_CHANGES_BASE):
        odd.append(f"init_lora_weights {one_line(start, _LONGEST)!r}")
    if kind != "LORA":
        odd.insert(0, f"peft_type {one_line(kind, _LONGEST)!r}")
    if odd:
        raise LayoutError(
            f"the adapter_config.json has {', '.join(odd)}, so its weights are not a sum with "
            f"pairs of LoRA alone; merge it with peft's merge_and_unload, and save the model"
        )


def scale_of(path: str, rank: int, alpha: Any, stated: Mapping[str, Any] | None) -> float:
    """Return the scale of a pair of this rank.

    ``alpha`` is the tensor next to the pair, if there is one, and ``stated`` the configuration of
    its adapter; without both, alpha is the rank.

    >>> scale_of("fc", 4, None, {"lora_alpha": 8}), scale_of("fc", 4, None, None)
    (2.0, 1.0)
    >>> scale_of("fc", 4, None, {"lora_alpha": 8, "use_rslora": True})
    4.0
    """
    config = stated or {}
    number: Any = rank
    if alpha is not None:
        number = _number_in(alpha)
    elif stated is not None:
        number = _by_pattern(path, config, "alpha_pattern", config.get("lora_alpha"))
        _check_rank(path, rank, config)
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not rank:
        raise LayoutError(
            f"nothing states the alpha of {one_line(path)}, whose pair has rank {rank}; put the "
            f"adapter_config.json with its lora_alpha next to the file of the adapter"
        )
    if not abs(number) < _LARGEST:
        raise LayoutError(
            f"the alpha of {one_line(path)} is {one_line(number, _LONGEST)}, which is not a number "
            f"that a float32 holds; get the adapter again"
        )
    return number / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _number_in(alpha: Any) -> float | None:
    """Return the number in a tensor of one; None if it holds something else."""
    known = spec(alpha)
    if math.prod(known.shape) != 1 or known.dtype.kind not in ("float", "int", "uint"):
        return None
    return float(as_array(Numpy(), alpha).astype("f8").reshape(-1)[0])


def _check_rank(path: str, rank: int, config: Mapping[str, Any]) -> None:
    """Refuse a rank that is not the one that the configuration states."""
    stated = _by_pattern(path, config, "rank_pattern", config.get("r", rank))
    if stated != rank:
        raise LayoutError(
            f"the pair of {one_line(path)} has rank {rank}, and the adapter_config.json states "
            f"{one_line(stated, _LONGEST)}; get the adapter_config.json of this adapter"
        )


def _by_pattern(path: str, config: Mapping[str, Any], name: str, default: Any) -> Any:
    """Return what the first pattern that ends a path has, as peft matches it, or the default."""
    patterns = config.get(name)
    for pattern, value in patterns.items() if isinstance(patterns, Mapping) else ():
        if not _NAMES.fullmatch(pattern):  # any other expression might never end
            raise LayoutError(
                f"the {name} of the adapter_config.json has {one_line(pattern, _LONGEST)!r}, "
                f"which is not a name of a layer; merge the adapter with peft's merge_and_unload"
            )
        ending = pattern.removeprefix("^").replace("\\", "")
        whole = path == ending
        if whole or (not pattern.startswith("^") and path.endswith(f".{ending}")):
            return value
    return default


def stated_of(
    path: str, metadata: Mapping[str, Any], config: Mapping[str, Any], dialect: str
) -> Mapping[str, Any] | None:
    """Return the configuration of a pair; None if its dialect takes the rank for alpha.

    Newer files of diffusers have it in their metadata, with the part of the pipeline before it.
    """
    if "lora_alpha" in config or dialect.startswith("peft"):
        return config
    start = f"{path.partition('.')[0]}."
    entries = _entries(metadata.get(METADATA))
    found = {name.removeprefix(start): each for name, each in entries if name.startswith(start)}
    check_config(found)
    return found or None


def _entries(text: Any) -> list[tuple[str, Any]]:
    if not isinstance(text, str):
        return []
    entries: Any = None
    with contextlib.suppress(ValueError, RecursionError, FormatError):
        entries = parse_json(METADATA, text.encode())
    if not isinstance(entries, dict):
        raise LayoutError(
            f"the metadata of the adapter have {METADATA} that is not JSON of names and values; "
            f"get the adapter again"
        )
    return [*entries.items()]
