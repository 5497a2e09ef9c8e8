"""The fields of a layout from the values of a TOML file: rows and operations, each key checked.

A field is read by what its dataclass says it holds, so that a row or an operation with a new field
needs nothing here. A field whose kind is not among those below is an error of the library.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.errors.printable import one_line
from caten_sd.mapping.assembly import Concat, Split, Stack, Unstack
from caten_sd.mapping.axis_lengths import Pad, Trim
from caten_sd.mapping.heads import Regroup, Rotary
from caten_sd.mapping.layer_operations import Flip, GruBiases, SumOfBiases
from caten_sd.mapping.operations import (
    Chain,
    Identity,
    NegExp,
    Offset,
    Operation,
    Scale,
    Transpose,
)
from caten_sd.mapping.part_operation import OfPart
from caten_sd.mapping.rearrange import Each, Rearrange
from caten_sd.mapping.rows import Constant, Drop, Lacks, Row
from caten_sd.wording import a_or_an

VERSION = 1
MOST_ROWS = 5_000
MOST_PAIRS = 20_000  # of rows that capture names with others, since each is compared with all
_NAMES = re.compile(r"\{\w{2,}(?:\.\.\._?)?\}")  # captures of names, as {part} or {path...}

OPERATIONS: dict[str, type[Operation]] = {
    each.__name__: each
    for each in (
        *(Chain, Concat, Each, Flip, GruBiases, Identity, NegExp, OfPart, Offset, Pad, Rearrange),
        *(Regroup, Rotary, Scale, Split, Stack, SumOfBiases, Transpose, Trim, Unstack),
    )
}
# The key that tells what a row is, and the field that it has the text of.
ROWS: dict[str, tuple[type[Any], str]] = {
    "canonical": (Row, "canonical"),
    "drop": (Drop, "here"),
    "lacks": (Lacks, "canonical"),
}


def fields_of(values: Mapping[str, Any], known: Mapping[str, str], where: str) -> dict[str, Any]:
    """Return the fields of a layout, its base still as it is in the file.

    ``known`` has the kind of each field of a layout, ``where`` is the name of the file, with which
    each LayoutError begins.
    """
    version = values.get("version", VERSION)
    if type(version) is not int or not 1 <= version <= VERSION:
        raise LayoutError(
            f"{where}: its version is {one_line(repr(version), 40)}, and {VERSION} is the newest "
            f"that is read here; update caten_sd, or correct version"
        )
    given = {key: value for key, value in values.items() if key != "version"}
    _check_keys(given, ["version", *known], "a layout", where)
    found = {
        name: _READERS[known[name]](value, f"{where}, {name}")
        for name, value in given.items()
        if name not in ("rows", "base")
    }
    if "base" in given:
        found["base"] = given["base"]
    rows = given.get("rows", [])
    if not isinstance(rows, list) or len(rows) > MOST_ROWS:
        raise LayoutError(f"{where}: rows are not a list of at most {MOST_ROWS:,}; write [[rows]]")
    found["rows"] = [row_of(row, f"{where}, row {n}") for n, row in enumerate(rows, 1)]
    found.setdefault("name", "")
    _check_named(found["rows"], where)
    return found


def row_of(values: Any, where: str) -> Row | Drop | Lacks:
    """Return a row from a table of TOML."""
    kinds = [key for key in ROWS if isinstance(values, dict) and key in values]
    if len(kinds) != 1:
        raise LayoutError(f"{where} needs one of the keys {', '.join(ROWS)}; write it")
    made, field = ROWS[kinds[0]]
    found = {field if key == kinds[0] else key: value for key, value in values.items()}
    row: Row | Drop | Lacks = _made(made, found, "a row", where, {field: kinds[0]})
    return row


def _check_named(rows: Iterable[Row | Drop | Lacks], where: str) -> None:
    """Refuse more rows that capture names than can be compared with all others."""
    rows = list(rows)
    named = sum(any(map(_NAMES.search, _names(row))) for row in rows)
    if named * len(rows) > MOST_PAIRS:
        raise LayoutError(
            f"{where}: {named:,} of {len(rows):,} rows capture names, and each is compared with "
            f"all others, which takes too long; write choices, as in {{part:weight|bias}}"
        )


def _names(row: Row | Drop | Lacks) -> tuple[str, ...]:
    if isinstance(row, Row):
        return (*row.canonical_names, *row.names, *(n for names in row.also_names for n in names))
    return (row.canonical,) if isinstance(row, Lacks) else row.names


def operation_of(value: Any, where: str) -> Operation:
    """Return an operation: its name, a table of its name and its fields, or several in a list."""
    if isinstance(value, list):
        return Chain(*(operation_of(each, f"{where}[{n}]") for n, each in enumerate(value)))
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, dict) or len(value) != 1:
        raise LayoutError(
            f"{where} is not an operation; write a name, as 'Transpose', or a table of one, as "
            f"{{ Rotary = {{ heads = 'n_head' }} }}"
        )
    ((name, given),) = value.items()
    _check_keys([name], OPERATIONS, "the name of an operation", where)
    where = f"{where}.{name}"
    if not isinstance(given, dict):
        raise LayoutError(
            f"{where} is {a_or_an(type(given).__name__)}; write a table of its fields"
        )
    made: Operation = _made(OPERATIONS[name], given, "a field of it", where, {})
    return made


def _made(
    kind: type[Any],
    given: Mapping[str, Any],
    what: str,
    where: str,
    called: Mapping[str, str],
) -> Any:
    """Return a row or an operation with these fields; ``called`` has their other names in TOML."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    names = [called.get(name, name) for name in fields]
    _check_keys([called.get(key, key) for key in given], names, what, where)
    found = {
        name: _READERS[str(fields[name].type)](value, f"{where}, {called.get(name, name)}")
        for name, value in given.items()
    }
    for name, field in fields.items():
        absent = (dataclasses.MISSING, dataclasses.MISSING)
        if (field.default, field.default_factory) == absent and name not in found:
            raise LayoutError(f"{where} has no {called.get(name, name)}; write it")
    try:
        if kind in (Chain, Each):
            return kind(*found["operations"])
        if kind is Rearrange:
            return kind(found["pattern"], **dict(found["sizes"]))
        return kind(**found)
    except LayoutError as error:
        raise LayoutError(f"{where}: {error}") from None


def _check_keys(given: Iterable[str], known: Collection[str], what: str, where: str) -> None:
    for key in given:
        if key not in known:
            near = get_close_matches(key[:100], known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
            raise LayoutError(f"{where}: {one_line(key, 60)!r} is not {what}; {hint}")


Reader = Callable[[Any, str], Any]


def _wrong(value: Any, wanted: str, where: str) -> LayoutError:
    return LayoutError(f"{where} is {one_line(repr(value), 60)}; write {wanted}")


def _of_type(kind: type[Any], wanted: str) -> Reader:
    def read(value: Any, where: str) -> Any:
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise _wrong(value, wanted, where)
        return kind(value)

    return read


def _either(wanted: str, *readers: Reader) -> Reader:
    def read(value: Any, where: str) -> Any:
        for reader in readers:
            try:
                return reader(value, where)
            except LayoutError:
                continue
        raise _wrong(value, wanted, where)

    return read


def _list(item: Reader, wanted: str) -> Reader:
    def read(value: Any, where: str) -> Any:
        if not isinstance(value, list):
            raise _wrong(value, wanted, where)
        return tuple(item(each, f"{where}[{n}]") for n, each in enumerate(value))

    return read


def _table(item: Reader, wanted: str) -> Reader:
    def read(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(value, wanted, where)
        return {key: item(each, f"{where}.{one_line(key, 40)}") for key, each in value.items()}

    return read


def _untied(value: Any, where: str) -> tuple[str, bool]:
    if not isinstance(value, list) or [type(each) for each in value] != [str, bool]:
        raise _wrong(value, "a name and true or false, as in ['tie_word_embeddings', false]", where)
    return value[0], value[1]


def _constant(value: Any, where: str) -> Constant:
    if not isinstance(value, dict):
        raise _wrong(value, "a table with value and like", where)
    made: Constant = _made(Constant, value, "a field of it", where, {})
    return made


def _scalar(value: Any, where: str) -> int | float | str:
    if not isinstance(value, (int, float, str)):
        raise _wrong(value, "a number, true, false, or an expression of names", where)
    return value


_text = _of_type(str, "a text")
_whole = _of_type(int, "a whole number")
_float = _of_type(float, "a number")
_bool = _of_type(bool, "true or false")
_size = _either("a number, or a name that stands for one", _whole, _text)
_value = _either("a number, or the name of one", _float, _text)
_texts = _list(_text, "a list of texts")
_names_of = _either("a name, or a list of names", _text, _texts)
_sizes = _list(_size, "a list of numbers and names")
_alternatives = _either("a name, or a list of names", _text, _list(_names_of, "a list of names"))
_mapping = _table(_text, "a table of texts")
_counts = _list(_whole, "a list of whole numbers")
_entries = _table(_scalar, "a table of numbers and names")
_READERS: dict[str, Reader] = {
    "Constant | None": _constant,
    "Collection[str]": _texts,
    "Mapping[str, int | float | str]": _entries,
    "Mapping[str, str]": _mapping,
    "Mapping[str, tuple[str, ...]]": _table(_texts, "a table of lists of texts"),
    "Names": _names_of,
    "Names | tuple[Names, ...]": _alternatives,
    "Operation": operation_of,
    "Sequence[str]": _texts,
    "Size": _size,
    "Size | None": _size,
    "bool": _bool,
    "float": _float,
    "float | str": _value,
    "int": _whole,
    "str": _text,
    "tuple[Operation, ...]": _list(operation_of, "a list of operations"),
    "tuple[Size, ...]": _sizes,
    "tuple[Size, ...] | None": _sizes,
    "tuple[int, ...]": _counts,
    "tuple[int, ...] | None": _counts,
    "tuple[str, bool] | None": _untied,
    "tuple[str, ...]": _texts,
    "tuple[tuple[str, Size], ...]": _table(_size, "a table of sizes"),
}
