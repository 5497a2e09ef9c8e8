"""The entries of a GGUF that say whose model it is, as llama.cpp's converter writes them.

Name, size, license, languages and what it was made of, from the name of the folder, config.json,
the model card and generation_config.json.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from caten_sd.errors import CatenError
from caten_sd.formats.gguf.model_card import Card, model_card
from caten_sd.formats.gguf.model_names import ModelName, model_name, size_label, title
from caten_sd.state.json_text import parse_json
from caten_sd.state.leaf import Spec

CONFIG, GENERATION = "config.json", "generation_config.json"
_MOST = 1 << 20  # bytes of generation_config.json
_MOST_ORIGINS = 1000
_HUB = "https://huggingface.co"
_SNAPSHOT = re.compile(r"[0-9a-f]{40}")
_CACHED = re.compile(r"models--(.+)--(.+)")
# What the card has for a key of a GGUF, in the order of what counts first.
_TEXTS = {
    "name": ("name", "model_name"),
    "author": ("author", "model_author", "model_creator"),
    "version": ("version", "model_version"),
    "organization": ("organization", "model_organization"),
    "description": ("description", "model_description"),
    "finetune": ("finetune", "model_finetune"),
    "basename": ("basename", "model_basename", "model_type"),
    "size_label": ("size_label", "model_size_label"),
    "source.url": ("url", "model_url"),
    "source.doi": ("doi", "model_doi"),
    "source.uuid": ("uuid", "model_uuid"),
    "source.repo_url": ("repo_url", "model_repo_url"),
    "license": ("license",),
    "license.name": ("license_name",),
    "license.link": ("license_link",),
}
_LISTS = {"tags": ("tags", "pipeline_tag"), "languages": ("languages", "language")}
_MADE_OF = {
    "base_model": ("base_model", "base_models", "base_model_sources"),
    "dataset": ("datasets", "dataset", "dataset_sources"),
}
_WHOLE = ("top_k", "penalty_last_n", "mirostat")
# Recommended options of sampling by their names in generation_config.json.
_SAMPLING = {
    "top_k": ("top_k",),
    "top_p": ("top_p",),
    "min_p": ("min_p",),
    "xtc_probability": ("xtc_probability",),
    "xtc_threshold": ("xtc_threshold",),
    "temp": ("temperature",),
    "penalty_last_n": ("penalty_last_n",),
    "penalty_repeat": ("penalty_repeat", "repetition_penalty"),
    "mirostat": ("mirostat",),
    "mirostat_tau": ("mirostat_tau",),
    "mirostat_eta": ("mirostat_eta",),
}


def general_entries(
    folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Spec]
) -> dict[str, Any]:
    """Return what a folder with a model of these tensors says of it, by the names of a GGUF."""
    parameters, label = _sizes(tensors)
    card = model_card(folder)
    known: dict[str, Any] = {key: value for key, value in _of_card(card) if value}
    for each in _names(folder, config):
        for key, value in _of_name(model_name(each, parameters)):
            known.setdefault(key, value)
    known.setdefault("size_label", label)
    known.update(_made_of(card, parameters))
    known.update(_sampling(folder))
    entries = {"type": "model", **known, "quantization_version": 2}  # GGML_QNT_VERSION of ggml.h
    return {f"general.{key}": _encodable(value) for key, value in entries.items()}


def _names(folder: Path, config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the model is called: the name that it was loaded by, and that of its folder."""
    origin = config.get("_name_or_path")
    if isinstance(origin, str) and origin.count("/") <= 1:
        yield origin
    if (folder / CONFIG).is_file():  # and not any folder with a file of weights
        yield _folder_name(folder)


def _encodable(value: Any) -> Any:
    """Return a value without what is not UTF-8, as JSON and the names of files may have it."""
    if isinstance(value, list):
        return [_encodable(each) for each in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _folder_name(folder: Path) -> str:
    """Return the name of the folder; that of the model for a snapshot in the cache of the hub."""
    path = folder.resolve()
    cached = _CACHED.fullmatch(path.parent.parent.name)
    return "/".join(cached.groups()) if cached and _SNAPSHOT.fullmatch(path.name) else path.name


def _of_name(found: ModelName) -> Iterator[tuple[str, str]]:
    if found.name and (name := title(found.name)):
        yield "name", name
    if found.organization:
        yield "organization", title(found.organization)
    for key in ("basename", "finetune", "version"):
        if value := getattr(found, key):
            yield key, value
    if found.size:
        yield "size_label", found.size


def _of_card(card: Card) -> Iterator[tuple[str, str | list[str]]]:
    for key, names in _TEXTS.items():
        texts = [value for name in names if (value := card.get(name))]
        text = texts[0] if texts else ""
        yield key, text if isinstance(text, str) else ",".join(text)
    for key, names in _LISTS.items():
        yield key, [each for name in names for each in _listed(card.get(name))]


def _listed(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def _made_of(card: Card, parameters: int) -> Iterator[tuple[str, Any]]:
    """Yield the models and the data that a model was made of, by number."""
    for key, names in _MADE_OF.items():
        if not (given := next((card[name] for name in names if name in card), None)):
            continue
        origins = _listed(given)[:_MOST_ORIGINS]
        yield f"{key}.count", len(origins)
        for number, each in enumerate(origins):
            for part, text in _origin(each, parameters):
                yield f"{key}.{number}.{part}", text


def _origin(identifier: str, parameters: int) -> Iterator[tuple[str, str]]:
    """Yield what is known of a model or of data by a name of the hub, or by an address."""
    if identifier.startswith(("http://", "https://", "ssh://")):
        found = re.fullmatch(r"https?://huggingface.co/([^/]+/[^/]+)", identifier)
        parts = model_name(found.group(1), parameters) if found else ModelName()
        address = identifier
    else:
        parts = model_name(identifier, parameters)
        address = f"{_HUB}/{parts.organization}/{parts.name}" if parts.organization else ""
    told = {key: value for key, value in _of_name(parts) if key in ("name", "organization")}
    told.update({"version": parts.version or "", "repo_url": address})
    yield from ((key, value) for key, value in told.items() if value)


def _sampling(folder: Path) -> Iterator[tuple[str, Any]]:
    path = folder / GENERATION
    try:
        known = path.is_file() and path.stat().st_size < _MOST
        found = parse_json(str(path), path.read_bytes()) if known else {}
    except (CatenError, OSError, ValueError, RecursionError):
        return
    if not isinstance(found, Mapping):
        return
    for key, names in _SAMPLING.items():
        value = next((found[name] for name in names if found.get(name) is not None), None)
        kinds = (int,) if key in _WHOLE else (int, float)
        if isinstance(value, kinds) and not isinstance(value, bool) and abs(value) < 1 << 31:
            yield f"sampling.{key}", value


def _sizes(tensors: Mapping[str, Spec]) -> tuple[int, str]:
    """Return how many parameters a model has, and its size as one says it."""
    total, one, counts = 0, 0, []
    for name, known in tensors.items():
        size = math.prod(known.shape)
        total += size
        is_stacked = "_exps." in name and len(known.shape) > 2
        experts = known.shape[-2 if ".bias" in name else -3] if is_stacked else 0
        counts.extend([experts] if experts else [])
        one += size // experts if experts else size
    return total, size_label(one, sum(counts) // len(counts) if counts else 0)
