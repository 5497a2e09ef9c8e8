"""What a file says of itself: its stamp, its architecture, and the numbers of its model.

The architecture is in a GGUF's ``general.architecture``, in a config.json's ``model_type`` or
``architectures``, or in an adapter_config.json. It excludes every layout of another architecture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from caten_sd.errors.printable import one_line
from caten_sd.mapping.extension import ARCHITECTURE
from caten_sd.mapping.gguf_numbers import OF_ALL, OF_SOME
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_modules import plain_name
from caten_sd.state.state_dict import StateDict

# What a class of transformers adds to the name of its architecture.
_OF_TASK = re.compile(r"(.+?)(?:LMHead|DoubleHeads|PreTrained|For[A-Z]|Model$)")
_WORD = re.compile(r"\w+")
_LONGEST = 100  # characters of a name that a message shows

# Where several configurations call one number differently, all of their names are found.
_NUMBERS = {**OF_ALL, **OF_SOME}


def said(state: StateDict) -> dict[str, str]:
    """Return the architecture that a file names, by the place where it does."""
    return dict(_said(state))


def _said(state: StateDict) -> Iterator[tuple[str, str]]:
    metadata = state.metadata
    key = "adapter.type" if metadata.get("general.type") == "adapter" else ARCHITECTURE
    entries = [(f"its {key}", metadata.get(key)), *_said_by_config(state.config)]
    yield from ((where, name) for where, name in entries if isinstance(name, str) and name)


def _said_by_config(config: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(config, Mapping):
        return
    if "peft_type" in config:
        yield "the peft_type of its adapter_config.json", config["peft_type"]
    elif config.get("model_type"):
        yield "the model_type of its config.json", config["model_type"]
    elif isinstance(config.get("architectures"), list) and config["architectures"]:
        yield "the class in its config.json", config["architectures"][0]


def veto(layout: Layout, state: StateDict) -> str:
    """Return what the file says of itself, where that is another architecture, or "".

    Its own metadata decide before a config.json next to it, which may be of another file: a GGUF
    calls several model types by one name.
    """
    where, name = next(_said(state), ("", ""))
    if not name or names(layout, name):
        contradicts = conditions_met(layout, state) is False
        return f"it has no {_text_of(layout.only_if)}" if contradicts else ""
    is_part = where.endswith(" config.json") and _part(layout, state)
    return "" if is_part else f"{where} is {one_line(name, _LONGEST)!r}"


def _text_of(entries: Mapping[str, str]) -> str:
    return " and ".join(f"{key}={value!r}" for key, value in entries.items())


def conditions_met(layout: Layout, state: StateDict) -> bool | None:
    """Return whether a file has the entries that the layout is detected by, or None if it has none.

    >>> from caten_sd.mapping.rows import Row
    >>> layout = Layout("mine", [Row("w")], only_if={"model_type": "mine|ours"})
    >>> states = [StateDict({}, config={"model_type": each}) for each in ("ours", "theirs")]
    >>> [conditions_met(layout, each) for each in (*states, StateDict({}))]
    [True, False, None]
    """
    config = state.config if isinstance(state.config, Mapping) else {}
    given = {key: state.metadata.get(key, config.get(key)) for key in layout.only_if}
    met = [value in layout.only_if[key].split("|") for key, value in given.items() if value]
    return all(met) if met else None


def names_said(state: StateDict) -> frozenset[str]:
    """Return the names, as they are compared, one of which each layout has that is not excluded.

    Empty if the file says nothing.
    """
    where, name = next(_said(state), ("", ""))
    parts = _parts(state) if where.endswith(" config.json") else ()
    inner = [part.get("model_type") for part in parts]
    every = [name, *(each for each in inner if isinstance(each, str))]
    return frozenset(plain_name(each) for name in every for each in _with_task(name) if each)


def names(layout: Layout, name: str) -> bool:
    """Return whether a name in a file is one of the layout's architecture, or of a class of it.

    >>> from caten_sd.mapping.rows import Row
    >>> layout = Layout("hf-gpt_neox", [Row("w")])
    >>> [names(layout, name) for name in ("gpt_neox", "gptneox", "GPTNeoXForCausalLM", "gpt2")]
    [True, True, True, False]
    """
    known = {plain_name(each) for each in layout.model_types}
    return any(plain_name(each) in known for each in _with_task(name))


def _with_task(name: str) -> list[str]:
    """Return a name, and that of the architecture if it is one of a class of transformers.

    >>> _with_task("GPT2LMHeadModel")
    ['GPT2LMHeadModel', 'GPT2']
    """
    of_task = _OF_TASK.match(name[:_LONGEST])
    return [name[:_LONGEST], *([of_task[1]] if of_task else [])]


def _part(layout: Layout, state: StateDict) -> Mapping[str, Any] | None:
    """Return the configuration of the part of a model that the layout is of, if there is one."""
    for part in _parts(state):
        inner = part.get("model_type")
        if isinstance(inner, str) and names(layout, inner):
            return part
    return None


def _parts(state: StateDict) -> Iterator[Mapping[str, Any]]:
    config = state.config if isinstance(state.config, Mapping) else {}
    for key, value in config.items():
        if str(key).endswith("_config") and isinstance(value, Mapping):
            yield value


def config_for(layout: Layout, state: StateDict) -> Any:
    """Return the configuration for a layout: that of a part where the layout is of the part.

    That of a whole model has the numbers of its text part, where it does not have them itself.
    """
    config = state.config
    if not isinstance(config, Mapping):
        return config
    whole, text = config.get("model_type"), config.get("text_config")
    part = None if isinstance(whole, str) and names(layout, whole) else _part(layout, state)
    return part or ({**text, **config} if isinstance(text, Mapping) else config)


def stated_numbers(metadata: Mapping[str, Any], *layouts: Layout) -> dict[str, Any]:
    """Return the numbers that a GGUF's metadata has, under the names of configurations.

    An entry that a layout calls otherwise has its usual names no longer: RoBERTa's context is
    shorter than its table of positions.

    >>> said = {"general.architecture": "llama", "llama.attention.head_count": 9}
    >>> [stated_numbers(said)[name] for name in ("n_head", "num_key_value_heads")]
    [9, 9]
    """
    found: dict[str, Any] = {}
    own: dict[str, set[str]] = {}
    for layout in layouts:
        own.update((key, set(_WORD.findall(str(size)))) for key, size in layout.sizes.items())
        named = {key: str(name) for key, name in layout.sizes.items()}
        plain = {key: name for key, name in named.items() if name.isidentifier()}
        found.update((name, metadata.get(key)) for key, name in plain.items())
    start = f"{metadata.get(ARCHITECTURE)}."
    for key, words in _NUMBERS.items():
        if own.get(start + key, set(words)).isdisjoint(words):
            continue
        value = metadata.get(start + key)
        if value is None and key == "attention.head_count_kv":
            value = metadata.get(f"{start}attention.head_count")  # as the GGUF format has it
        found.update((word, value) for word in words if found.get(word) is None)
    return {name: number for name, value in found.items() if (number := _number(value)) is not None}


def _number(value: Any) -> Any:
    """Return a number of metadata, which may be a text, or one for each layer."""
    if isinstance(value, (list, tuple)) and value and all(each == value[0] for each in value):
        value = value[0]
    if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) < 20:
        return int(value)
    return value
