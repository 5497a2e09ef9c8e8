"""The rows of one architecture, from the pairs of the classes that have it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from caten_sd import MatchedTensors, explain
from caten_sd.layout import Stack
from caten_sd.mapping.patterns import pattern
from caten_sd.mapping.templates import Finder, Matcher
from tests.oracles.families import NAMES
from tests.oracles.model_numbers import Pair, counts_in, shapes_in, sizes_in
from tests.oracles.row_templates import NUMBER, FoundRow, rows_of

# What the keys of those parts of a model begin with that GGUF keeps in another file.
PARTS = (
    "audio_tower",
    "mlp_AR",
    "model.audio_tower",
    "model.multi_modal_projector",
    "model.projector",
    "model.vision_tower",
    "model.visual",
    "model.vit",
    "multi_modal_projector",
    "vision_model",
    "vision_tower",
    "visual",
    "vit",
)


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


def architecture_of(name: str, pairs: list[Pair]) -> Architecture:
    """Return the rows of an architecture from its pairs."""
    first = pairs[0]
    said = [pair.metadata["general.architecture"] for pair in pairs]
    made = Architecture(name, list(dict.fromkeys(said)), sizes=sizes_in(first, said[0]))
    for pair in pairs:
        _add(made, pair)
    made.counts = counts_in(first, made.rows)
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
    made.shapes.update(shapes_in(pair, rows))
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
    for start in PARTS:
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
