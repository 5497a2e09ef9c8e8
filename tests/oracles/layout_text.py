"""The text of a file of layouts, as it is reviewed and kept."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from caten_sd.layout import Chain, NegExp, Offset, Operation, Regroup, Rotary, Split, Stack, Trim
from caten_sd.mapping.rearrange import Each
from tests.oracles.architecture_rows import Architecture, Dialect
from tests.oracles.families import ONLY_IF_SAID
from tests.oracles.row_templates import FoundRow, merged
from tests.oracles.size_text import bare_sizes, sizes_of, sizes_text

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
DOCSTRING = '''"""{}.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""'''
HOMES = {
    "assembly": "Concat Split Stack",
    "axis_lengths": "Trim",
    "extension": "extend",
    "heads": "Regroup Rotary",
    "layout": "Layout",
    "operations": "Chain Identity NegExp Offset Transpose",
    "rearrange": "Each Rearrange",
    "rows": "Drop Lacks Row",
}
ELSEWHERE = "GGUF keeps this part of the model in a file of its own"
LEFT_OUT = "llama.cpp has no use for it"
COMPUTED = "computed from the configuration"
# What old files of the hub and files of long contexts have besides.
OLD = ("rotary_emb.inv_freq", "bias", "masked_bias")
ROTARY = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")

NOT_A_WORD = re.compile(r"\W")

Rows = dict[tuple[str, ...], str]  # a row's text by its canonical names


@dataclass
class LayoutText:
    """A layout as it is written: the name of its variable, its fields and its rows."""

    variable: str
    name: str
    fields: dict[str, str]
    rows: Rows
    extends: str = ""


def file_text(architectures: Iterable[Architecture]) -> str:
    """Return the text of the file of a family."""
    architectures = list(architectures)
    written: list[LayoutText] = []
    parts = []
    for made in architectures:
        for text in _layouts(made):
            parts.append(_written(text, written))
            written.append(text)
    body = "\n\n".join(parts)
    imports = "\n".join(
        f"from caten_sd.mapping.{home} import {', '.join(used)}"
        for home, words in HOMES.items()
        if (used := [word for word in words.split() if re.search(rf"\b{word}\(", body)])
    )
    *firsts, last = [each.name for each in architectures]
    several = f"The architectures {', '.join(firsts)} and {last}, as GGUF calls them"
    doc = DOCSTRING.format(several if firsts else f"The architecture {last}, as GGUF calls it")
    tied = 'UNTIED = ("tie_word_embeddings", False)\n' if "UNTIED" in body else ""
    proof = f"PROOF = {PROOF!r}\n"
    return f"{doc}\n\nfrom __future__ import annotations\n\n{imports}\n\n{proof}{tied}\n{body}\n"


def _layouts(made: Architecture) -> Iterable[LayoutText]:
    first, *others = made.dialects
    hf = _variable("HF", first.name)
    fields = {
        "architecture": repr("/".join(each.model_type for each in made.dialects)),
        "model_types": _choice([first.model_type], first.name),
        "prefixes": _prefixes(first),
        "counts": repr(made.counts),
        "only_if": _only_if(made, {"model_type": first.model_type}),
        "proof": "PROOF",
    }
    yield LayoutText(hf, f"hf-{first.name}", _given(fields), dict(_hf_rows(made)))
    for dialect in others:
        rows = dict(_dialect_rows(made, dialect))
        fields = {
            "base": hf,
            "model_types": repr([dialect.model_type]),
            "prefixes": repr((dialect.prefix,)) if dialect.prefix != first.prefix else "",
            "proof": "PROOF",
        }
        named = _variable("HF", dialect.name)
        yield LayoutText(named, f"hf-{dialect.name}", _given(fields), rows, hf)
    for said in made.said:
        name = made.name if said == made.said[0] else said
        fields = {
            "base": hf,
            "model_types": repr([said]),
            "metadata": f"{{'general.architecture': {said!r}}}",
            "sizes": sizes_text(sizes_of(made, said, f"gguf-{name}")),
            "only_if": _only_if(made, {"general.architecture": said}),
            "proof": "PROOF",
        }
        yield LayoutText(
            _variable("GGUF", name), f"gguf-{name}", _given(fields), dict(_gguf_rows(made))
        )


def _only_if(made: Architecture, entry: Mapping[str, str]) -> str:
    return repr(entry) if made.name in ONLY_IF_SAID else ""


def _variable(kind: str, name: str) -> str:
    """Return the name of a layout's variable.

    >>> _variable("HF", "gpt-oss")
    'HF_GPT_OSS'
    """
    return f"{kind}_{NOT_A_WORD.sub('_', name).upper()}"


def _given(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in fields.items() if text not in ("", "{}")}


def _choice(names: list[str], known: str) -> str:
    return "" if names == [known] else repr(names)


def _prefixes(dialect: Dialect) -> str:
    found = tuple(dict.fromkeys([dialect.prefix, ""]))
    return "" if found == ("",) else repr(found)


def _written(text: LayoutText, known: list[LayoutText]) -> str:
    """Return a layout, as an extension of one before it where most rows are the same."""
    if text.extends:
        start = [text.extends, repr(text.name)]
        return _call("extend", start, text.fields, list(text.rows.values()), text)
    same_kind = [each for each in known if ("base" in each.fields) == ("base" in text.fields)]
    same_kind = [each for each in same_kind if each.variable[:2] == text.variable[:2]]
    best = min(same_kind, key=lambda each: _difference(each, text), default=None)
    if best is None or _difference(best, text) > len(text.rows) / 2:
        return _call("Layout", [repr(text.name)], text.fields, list(text.rows.values()), text)
    rows = [row for key, row in text.rows.items() if best.rows.get(key) != row]
    fields = dict(text.fields)
    if left := sorted({key[0] for key in best.rows if key not in text.rows}):
        fields["without"] = repr(left)
    for name in ("prefixes", "counts"):
        if best.fields.get(name) == fields.get(name):
            fields.pop(name, None)
        elif name not in fields:
            fields[name] = "('',)" if name == "prefixes" else "{}"
    inherited, sizes = (bare_sizes(each.fields.get("sizes", "{}")) for each in (best, text))
    own = {key: size for key, size in sizes.items() if inherited.get(key) != size}
    said = ast.literal_eval(text.fields.get("metadata", "{}"))
    start = f"{said.get('general.architecture', '')}."
    fields.pop("sizes", None)
    if own:
        fields["sizes"] = sizes_text({start + key: size for key, size in own.items()})
    return _call("extend", [best.variable, repr(text.name)], fields, rows, text)


def _difference(one: LayoutText, other: LayoutText) -> int:
    changed = sum(one.rows.get(key) != row for key, row in other.rows.items())
    return changed + sum(key not in other.rows for key in one.rows)


def _call(
    name: str, first: list[str], fields: Mapping[str, str], rows: list[str], text: LayoutText
) -> str:
    given = [f"{key}={value}" for key, value in fields.items()]
    listed = [f"rows=[{', '.join(rows)}]"] if rows or name == "Layout" else []
    return f"{text.variable} = {name}({', '.join([*first, *given, *listed])},)\n"


def _hf_rows(made: Architecture) -> Iterable[tuple[tuple[str, ...], str]]:
    first = made.dialects[0]
    head = made.head[0] if made.head else ""
    seen: set[str] = set()
    for row in _merged(made):
        for name in row.canonical:
            if name not in seen and name != head:
                options = _options(row.optional or name in made.rest, row.in_some_layers)
                yield (name,), _hf_row(made, name, options)
            seen.add(name)
    if made.head:
        tied = f"tied={made.head[1]!r}, untied=UNTIED"
        yield (head,), f"Row({head!r}{_unprefixed(head, made, first)}, {tied})"
    for name in made.rest:
        yield (name,), _hf_row(made, name, _options(True, False))
    names = {name.partition("}.")[2].partition(".")[0] for name in seen if name[:6] == "layers"}
    for part in sorted(names & {"self_attn", "attention"}):
        for word in OLD if part == "attention" else OLD[:1]:
            name = f"layers.{{i}}.{part}.{word}"
            yield (name,), f"Drop({name!r}, {COMPUTED!r})"


def _options(optional: bool, in_some_layers: bool) -> str:
    """Return what is written of a row that not each model, or not each layer, has."""
    some = in_some_layers and not optional
    return ", optional=True" * optional + ", in_some_layers=True" * some


def _hf_row(made: Architecture, name: str, options: str) -> str:
    shape = made.shapes.get(name)
    sized = f", shape={shape!r}" if shape else ""
    prefixed = _unprefixed(name, made, made.dialects[0])
    return f"Row({name!r}{sized}{prefixed}{options})"


def _unprefixed(name: str, made: Architecture, dialect: Dialect) -> str:
    bare = {name.replace("{part:weight|bias}", part) for part in ("weight", "bias")}
    return ", prefixed=False" if dialect.prefix and bare & made.unprefixed else ""


def _dialect_rows(made: Architecture, dialect: Dialect) -> Iterable[tuple[tuple[str, ...], str]]:
    """Yield the rows of another model type that are not those of the first."""
    prefixed = ", prefixed=False" if dialect.prefix else ""
    if made.head and dialect.head and dialect.head != made.head[0]:
        head, tied = made.head
        names = f"{head!r}, {dialect.head!r}{prefixed}"
        yield (head,), f"Row({names}, tied={tied!r}, untied=UNTIED)"
    for name in dialect.rest:
        yield (name,), f"Drop({name!r}, 'not a part of the language model'{prefixed})"


def _gguf_rows(made: Architecture) -> Iterable[tuple[tuple[str, ...], str]]:
    head = made.head[0] if made.head else ""
    for row in _merged(made):
        if row.canonical != (head,):
            operation = "" if row.is_plain else f", {operation_text(row.operation)}"
            names = f"{_names(row.canonical)}, {_names(row.here)}"
            where = f", where={row.where!r}" if row.where else ""
            yield row.canonical, f"Row({names}{operation}{where}{_options(*row.options)})"
    if made.head:
        yield (head,), f"Row({head!r}, 'output.weight', tied={made.head[1]!r})"
    for name in made.rest:
        reason = ELSEWHERE if "..." in name else LEFT_OUT
        yield (name,), f"Lacks({name!r}, {reason!r})"
    rotary = ROTARY if any(".attn_q" in name for row in made.rows for name in row.here) else ()
    for name in dict.fromkeys([*rotary, *made.computed]):
        yield (name,), f"Drop({name!r}, {COMPUTED!r})"


def _merged(made: Architecture) -> list[FoundRow]:
    plain = [row for row in made.rows if row.canonical[0] not in made.shapes]
    return merged(plain) + [row for row in made.rows if row.canonical[0] in made.shapes]


def _names(names: tuple[str, ...]) -> str:
    return repr(names[0]) if len(names) == 1 else repr(names)


def operation_text(operation: Operation) -> str:
    """Return an operation as it is written.

    >>> operation_text(Chain(Rotary("n_head", to="pairs"), Chain(Stack("e"), Offset(1.0))))
    "Chain(Rotary('n_head', to='pairs'), Stack('e'), Offset(1.0))"
    """
    if isinstance(operation, Chain):
        return f"Chain({', '.join(map(operation_text, _flat(operation)))})"
    if isinstance(operation, Each):
        return f"Each({', '.join(map(operation_text, operation.operations))})"
    if isinstance(operation, Stack):
        return f"Stack({operation.over!r})"
    if isinstance(operation, Rotary):
        return f"Rotary({operation.heads!r}, to={operation.to!r})"
    if isinstance(operation, Offset):
        return f"Offset({operation.by!r})"
    if isinstance(operation, NegExp):
        return "NegExp()"
    if isinstance(operation, Trim):
        return f"Trim({operation.axis}, count={operation.count}, at={operation.at!r})"
    if isinstance(operation, Regroup):
        return f"Regroup({operation.shares!r}, {operation.groups!r}, undo={operation.undo})"
    text = re.sub(r"\b(?:shares|axes)=", "", repr(operation))
    return re.sub(r", axis=0(?=\))", "", text) if not isinstance(operation, Split) else text


def _flat(operation: Operation) -> Iterable[Operation]:
    if not isinstance(operation, Chain):
        return [operation]
    return [inner for each in operation.operations for inner in _flat(each)]
