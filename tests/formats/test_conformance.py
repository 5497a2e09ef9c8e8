"""The contract of ``caten_sd.testing`` for every format: a new one is tested by existing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from caten_sd.files.catalog import formats
from caten_sd.files.format import Format
from caten_sd.state.dtype import DTYPES
from caten_sd.testing import CONTRACT, Clause, clauses
from caten_sd.testing.round_trips import dtypes_held
from caten_sd.testing.samples import every_dtype
from tests.fuzz.mutators import STRUCTURED
from tests.fuzz.seeds import seeds_of

FORMATS = list(formats())
READ_ONLY = {"torch legacy", "torch export", "folder", "archive", "ranks", "eqx"}
WRITTEN = [each for each in FORMATS if each.name not in READ_ONLY]
# It opens a folder around the one file of another format, which is what it is for.
# Arrays without names: a file that ends with an array may have had more of them.
# Ranks are written where a count of them is asked for, and no suffix asks for it.
NOT_KEPT = {
    ("folder", "files of others"),
    ("eqx", "truncation"),
    ("ranks", "class of the format"),
}
OPTIONS = {"sharded": {"max_shard_size": "200B"}}

COMPLEX = {"complex64", "complex128"}
UNSIGNED = {"uint64", "uint32", "uint16", "uint8"}
NARROW = {name for name, dtype in DTYPES.items() if dtype.kind == "float" and dtype.bits <= 8}
PACKED = {name for name, dtype in DTYPES.items() if dtype.bits < 8}
# What a format cannot store, by its own definition.
REFUSED = {
    "safetensors": {"complex128"},
    "sharded": {"complex128"},
    "npy": NARROW | {"bfloat16"},
    "msgpack": PACKED,
    "gguf": {"bool"} | COMPLEX | UNSIGNED | NARROW,
    "torch zip": PACKED,
    "dcp": PACKED,
    "orbax": PACKED | {"float8_e8m0fnu"},
}


def writable() -> list[Format]:
    """Return the formats that are written from any number of leaves."""
    return [each for each in WRITTEN if not each.one_leaf]


@pytest.fixture(scope="session")
def seeds(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    @cache
    def of(name: str) -> list[Path]:
        return seeds_of(name, tmp_path_factory.mktemp("seeds") / name)

    return of


def promises() -> Iterator[Any]:
    """Yield each format with each clause; damage at every byte is a slow test but for one."""
    for format in FORMATS:
        for clause in CONTRACT:
            long = clause.name in ("truncation", "claimed sizes")
            marks = [pytest.mark.slow] if long and format.name != "safetensors" else []
            yield pytest.param(format, clause, marks=marks, id=f"{format.name}-{clause.name}")


@pytest.mark.parametrize(("format", "clause"), list(promises()))
def test_a_format_keeps_the_contract(format: Format, clause: Clause, seeds) -> None:  # type: ignore[no-untyped-def]
    name = format.name.replace(" ", "-")
    for each in clauses(
        format,
        written=format in WRITTEN,
        files=seeds(name),
        mutators=STRUCTURED.get(name, ()),
        options=OPTIONS.get(format.name, {}),
    ):
        if each.clause is clause and (format.name, clause.name) not in NOT_KEPT:
            each()


@pytest.mark.parametrize("format", WRITTEN, ids=lambda format: format.name)
def test_which_dtypes_a_format_refuses(format: Format, tmp_path: Path) -> None:
    subject = clauses(format)[0].subject._replace(folder=tmp_path)
    refused = every_dtype().keys() - dtypes_held(subject)
    assert refused == REFUSED.get(format.name, set()) & every_dtype().keys()


@pytest.mark.parametrize("piece", [7, 64])
@pytest.mark.parametrize("format", WRITTEN, ids=lambda format: format.name)
def test_pieces_of_any_size_are_written(
    format: Format, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caten_sd.state.pieces.PIECE", piece)
    for each in clauses(format):
        if each.clause.name in ("order", "memory order", "shapes"):
            each()
