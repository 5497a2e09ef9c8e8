"""The rows of one architecture, from the pairs of the classes that have it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from caten_sd import MatchedTensors, explain, read_state_dict
from caten_sd.extend import Numpy, as_array
from caten_sd.layout import Stack
from caten_sd.mapping.patterns import pattern
from caten_sd.mapping.templates import Finder, Matcher
from tests.oracles.families import NAMES
from tests.oracles.row_templates import NUMBER, FoundRow, rows_of

LAYERS = ("num_layers_per_stack", "num_hidden_layers", "n_layer", "n_layers", "num_layers")
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
HEADS = ("num_attention_heads", "n_head", "num_heads", "encoder_attention_heads")
KV_HEADS = ("num_key_value_heads", "num_kv_heads")
DERIVED = ("qk_head_dim", "index_n_heads")
SIZES = {
    "block_count": LAYERS,
    "context_length": ("max_position_embeddings", "n_positions", "seq_length"),
    "embedding_length": ("hidden_size", "n_embd", "d_model"),
    "feed_forward_length": ("intermediate_size", "n_inner", "d_ff", "ffn_hidden_size"),
    "expert_feed_forward_length": ("moe_intermediate_size",),
    "expert_shared_feed_forward_length": ("shared_expert_intermediate_size",),
    "attention.head_count": ("num_attention_heads", "n_head", "num_heads"),
    "attention.head_count_kv": ("num_key_value_heads", "num_kv_heads"),
    "attention.key_length": ("head_dim", "d_kv"),
    "attention.kv_lora_rank": ("kv_lora_rank",),
    "attention.q_lora_rank": ("q_lora_rank",),
    "decoder_block_count": ("num_decoder_layers",),
    "expert_count": EXPERTS,
    "expert_used_count": ("num_experts_per_tok",),
    "hrm.layers_per_stack": ("num_layers_per_stack",),
    "ssm.conv_kernel": ("conv_kernel", "mamba_d_conv", "linear_conv_kernel_dim"),
    "ssm.group_count": ("n_groups", "mamba_n_groups", "linear_num_key_heads"),
    "ssm.inner_size": ("mamba_d_ssm", "mamba_intermediate_size"),
    "ssm.state_size": ("state_size", "mamba_d_state", "ssm_state_size", "linear_key_head_dim"),
    "ssm.time_step_rank": ("num_heads", "mamba_n_heads", "linear_num_value_heads"),
    "vocab_size": ("vocab_size",),
}
# Names of matrices whose axes are numbers of the model, and never a coincidence.
SIZED = re.compile(
    r"(embed\w*|wte|gate_proj|up_proj|down_proj|c_fc|mlp\.c_proj|fc1|fc2|wi|wo|lm_head)\.weight$"
)
NAMES_OF_SIZES = (
    "vocab_size",
    "hidden_size",
    "n_embd",
    "d_model",
    "intermediate_size",
    "d_ff",
    "n_inner",
)


@dataclass
class Pair:
    """Two files of the same weights, and the numbers of the model."""

    name: str
    config: Mapping[str, Any]
    canonical: dict[str, np.ndarray]
    here: dict[str, np.ndarray]
    metadata: Mapping[str, Any]

    @property
    def model_type(self) -> str:
        """What config.json calls the architecture."""
        return str(self.config["model_type"])

    @property
    def numbers(self) -> dict[str, int]:
        """The whole numbers of the configuration, those of a part of it last."""
        parts = [self.config, self.config.get("text_config") or {}]
        flat = {key: value for part in reversed(parts) for key, value in part.items()}
        return {key: value for key, value in flat.items() if type(value) is int}

    @property
    def names(self) -> dict[str, int]:
        """The numbers without those that follow from others, by which operations are named."""
        numbers = dict(self.numbers)
        heads = next((numbers[name] for name in HEADS if name in numbers), 0)
        return {
            name: number
            for name, number in numbers.items()
            if name not in DERIVED and not (name in KV_HEADS and number == heads)
        }


@dataclass
class Dialect:
    """The keys of one model type of an architecture.

    ``head`` is the key of its output matrix. ``rest`` has patterns of keys that are not a part of
    the architecture.
    """

    name: str
    model_type: str
    prefix: str
    head: str = ""
    rest: list[str] = field(default_factory=list)


@dataclass
class Architecture:
    """What the layouts of one architecture hold; ``said`` is what GGUF files call it.

    ``rest`` has canonical names that a GGUF lacks, ``computed`` keys that only a GGUF has. ``head``
    is the output matrix and what it may be tied to.
    """

    name: str
    said: list[str] = field(default_factory=list)
    dialects: list[Dialect] = field(default_factory=list)
    rows: list[FoundRow] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)
    computed: list[str] = field(default_factory=list)
    unprefixed: set[str] = field(default_factory=set)
    head: tuple[str, str] | None = None
    counts: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_pair(folder: Path) -> Pair:
    """Return the pair of a folder."""
    canonical, here = (
        read_state_dict(folder / name) for name in ("model.safetensors", "model.gguf")
    )
    config = json.loads((folder / "config.json").read_text())
    arrays = [
        {key: np.asarray(as_array(Numpy(), leaf)) for key, leaf in side.items()}
        for side in (canonical, here)
    ]
    return Pair(folder.name, config, *arrays, dict(here.metadata))


def architecture_of(name: str, pairs: list[Pair]) -> Architecture:
    """Return the rows of an architecture from its pairs."""
    first = pairs[0]
    said = [pair.metadata["general.architecture"] for pair in pairs]
    made = Architecture(name, list(dict.fromkeys(said)), sizes=_sizes(said[0], first))
    for pair in pairs:
        _add(made, pair)
    made.counts = _counts(made, first)
    return made


def _add(made: Architecture, pair: Pair) -> None:
    found = _matches(pair)
    prefix = _prefix(found)
    templates = rows_of(found, pair.names)
    rows = _in_some_layers([_without_prefix(row, prefix) for row in templates])
    only_canonical = _rest(pair.canonical, [match.a for match in found])
    only_here = _rest(pair.here, [match.b for match in found])
    dialect = _dialect(made, pair, prefix, rows)
    rest = list(dict.fromkeys(_template(key, prefix) for key in only_canonical))
    is_own = dialect is made.dialects[0]
    if is_own:
        made.rest += [name for name in rest if name not in made.rest]
    else:
        dialect.rest += [name for name in rest if name not in dialect.rest]
        rows = [_with_head(row, made, dialect) for row in rows]
    made.rows = _joined(made.rows, rows, pair) if made.rows else rows
    made.computed += [key for key in only_here if key not in made.computed]
    made.shapes.update(_shapes(rows, pair))
    if prefix and is_own:
        outside = [key for key in only_canonical if not key.startswith(prefix)]
        made.unprefixed |= {_template(key, prefix) for key in outside}
        made.unprefixed |= {
            name
            for row in rows
            for name in row.canonical
            if not any(key.startswith(prefix) for key in row.seen)
        }
    made.head = made.head or _head(rows, pair)
    if made.head and is_own and prefix and made.head[0] == "lm_head.weight":
        made.unprefixed.add("lm_head.weight")


def _matches(pair: Pair) -> list[MatchedTensors]:
    """Return what a converter did to the tensors of a pair, those that it only renames first."""
    found = explain(pair.canonical, pair.here, config=pair.names).matches
    places = [{key: n for n, key in enumerate(side)} for side in (pair.here, pair.canonical)]

    def order(match: MatchedTensors) -> tuple[int, int]:
        kinds = [
            len(match.a) == len(match.b) == 1 and not match.operation.tolerance,
            isinstance(match.operation, Stack),
            len(match.b) > 1,
            len(match.a) > 1,
            True,
        ]
        kind = kinds.index(True)
        by_canonical = kind in (2, 4)
        return kind, places[by_canonical][(match.a if by_canonical else match.b)[0]]

    return sorted(found, key=order)


def _rest(keys: Iterable[str], matched: Iterable[tuple[str, ...]]) -> list[str]:
    known = {key for each in matched for key in each}
    return [key for key in keys if key not in known]


def _joined(known: list[FoundRow], rows: list[FoundRow], pair: Pair) -> list[FoundRow]:
    """Return the rows of an architecture with those of one more pair of it."""
    before = {row.identity for row in known}
    found = {row.identity: row.in_some_layers for row in rows}
    kept = [
        replace(
            row,
            optional=row.optional or (_is_whole(pair) and row.identity not in found),
            in_some_layers=row.in_some_layers or found.get(row.identity, False),
        )
        for row in known
    ]
    return kept + [replace(row, optional=True) for row in rows if row.identity not in before]


def _in_some_layers(rows: list[FoundRow]) -> list[FoundRow]:
    """Return the rows, those marked that some layer lacks, as in a model of two kinds of layer.

    >>> from caten_sd.layout import Identity
    >>> names = {"l.{i}.norm": ("l.0.norm", "l.1.norm"), "l.{i}.ssm": ("l.1.ssm",)}
    >>> rows = [FoundRow((name,), (name,), Identity(), keys) for name, keys in names.items()]
    >>> [row.in_some_layers for row in _in_some_layers(rows)]
    [False, True]
    """
    indices = [_indices(row) for row in rows]
    every: dict[str, set[str]] = {}
    for found in indices:
        for label, numbers in found.items():
            every.setdefault(label, set()).update(numbers)
    return [
        replace(row, in_some_layers=any(each != every[label] for label, each in found.items()))
        for row, found in zip(rows, indices, strict=True)
    ]


def _indices(row: FoundRow) -> dict[str, set[str]]:
    """Return the indices of the layers and experts that a row was seen in."""
    names = [f"{start}{name}" for name in row.canonical for start in ("", "{path...}.")]
    finder = Finder(Matcher([(pattern(name), None) for name in names]))
    found: dict[str, set[str]] = {}
    for key in row.seen:
        for _, captured in finder.find(key):
            for label in captured.keys() - {"path"}:
                found.setdefault(label, set()).add(captured[label])
    return found


def _dialect(made: Architecture, pair: Pair, prefix: str, rows: list[FoundRow]) -> Dialect:
    """Return the dialect of a pair, a new one if its model type or its prefix is new."""
    head = next((row.canonical[0] for row in rows if row.here == ("output.weight",)), "")
    for known in made.dialects:
        if known.model_type == pair.model_type and (prefix in (known.prefix, "")):
            return known
    name = pair.model_type if made.dialects else NAMES.get(made.name, pair.model_type)
    made.dialects.append(Dialect(name, pair.model_type, prefix, head))
    return made.dialects[-1]


def _with_head(row: FoundRow, made: Architecture, dialect: Dialect) -> FoundRow:
    """Return a row with the canonical name of the output matrix in place of the dialect's."""
    if made.head and row.here == ("output.weight",):
        return replace(row, canonical=(made.head[0],))
    return row


def _is_whole(pair: Pair) -> bool:
    """Return whether a class has all of a model that it could have."""
    return not pair.name.partition("-")[0].endswith(("Model", "EncoderModel"))


def _prefix(matches: list[MatchedTensors]) -> str:
    """Return what the keys of the layers and of the embedding begin with."""
    keys = [
        key
        for match in matches
        for key in match.a
        if match.b[0].startswith(("blk.", "enc.", "dec.", "token_embd"))
    ]
    words = [key.split(".")[:-1] for key in keys]
    common = []
    for level in zip(*words, strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    return ".".join([*common, ""]) if common else ""


def _without_prefix(row: FoundRow, prefix: str) -> FoundRow:
    return replace(row, canonical=tuple(name.removeprefix(prefix) for name in row.canonical))


def _template(key: str, prefix: str) -> str:
    """Return the pattern of a key that the other side does not have, or of all in its part."""
    bare = key.removeprefix(prefix)
    for start in ("model.visual", "visual", "vision_tower", "audio_tower", "model.vision_tower"):
        if key.startswith(f"{start}."):
            return f"{start}.{{path...}}"
    for start in ("model.audio_tower", "vision_model", "multi_modal_projector", "vit"):
        if key.startswith(f"{start}."):
            return f"{start}.{{path...}}"
    for start in ("model.multi_modal_projector", "model.projector", "model.vit", "mlp_AR"):
        if key.startswith(f"{start}."):
            return f"{start}.{{path...}}"
    letters = iter("ijkl")
    return NUMBER.sub(lambda _: f"{{{next(letters)}}}", bare)


def _head(rows: list[FoundRow], pair: Pair) -> tuple[str, str] | None:
    """Return the output matrix and the embedding, where a model may tie them."""
    named = {row.here[0]: row.canonical[0] for row in rows}
    embedding = named.get("token_embd.weight")
    if embedding is None or not _has_head(pair):
        return None
    return named.get("output.weight", "lm_head.weight"), embedding


def _has_head(pair: Pair) -> bool:
    return pair.name.partition("-")[0].endswith(("ForCausalLM", "ForConditionalGeneration"))


def _sizes(said: str, pair: Pair) -> dict[str, str]:
    found = {}
    for key, names in SIZES.items():
        value = pair.metadata.get(f"{said}.{key}")
        name = next((name for name in names if pair.numbers.get(name) == value), None)
        if value is not None and name:
            found[key] = name
    return found


def _counts(made: Architecture, pair: Pair) -> dict[str, str]:
    """Return what counts each index; a configuration may have the layers as a list of kinds."""
    text = " ".join(name for row in made.rows for name in row.canonical)
    wanted = {"{i}": LAYERS, "{e}": EXPERTS, "{j}": ("num_decoder_layers",)}
    found = {
        letter[1]: next((name for name in names if name in pair.numbers), "")
        for letter, names in wanted.items()
        if letter in text
    }
    counts = {letter: name for letter, name in found.items() if name}
    return {"i": "num_hidden_layers", **counts} if "i" in found else counts


def _shapes(rows: list[FoundRow], pair: Pair) -> dict[str, tuple[str, ...]]:
    values: dict[int, str] = {}
    for name in NAMES_OF_SIZES:
        if name in pair.numbers:
            values.setdefault(pair.numbers[name], name)
    found = {}
    for row in rows:
        name, key = row.canonical[0], row.seen[0]
        shape = pair.canonical[key].shape
        axes = tuple(values.get(axis, "") for axis in shape)
        if len(row.canonical) == 1 and SIZED.search(name) and len(set(axes)) == 2 and all(axes):
            found[name] = axes
    return found
