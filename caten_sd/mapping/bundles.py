"""Bundles: a layout of several models in one file, each with a layout of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Size
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.part_operation import OfPart
from caten_sd.mapping.rows import Drop, Lacks, Row, canonical_rows
from caten_sd.state.options import checked_options

_NAME = re.compile(r"[^\W\d]\w*")
_ARITHMETIC = re.compile(r"\{[^{}:]*[+*-][^{}:]*\}")


@checked_options()
def bundle(
    name: str,
    parts: Mapping[str, tuple[str, Layout]],
    rows: Iterable[Row | Drop | Lacks] = (),
    *,
    base: Layout | None = None,
    **options: Any,
) -> Layout:
    """Return the layout of a file that holds several models.

    ``parts`` has a word for each model, what its keys begin with in the file, and its layout. The
    canonical names of a part begin with its word, as do the numbers of a part: ``unet_n_head`` is
    the number ``n_head`` of the part ``unet``, and ``n_head`` that of every part. ``base`` is the
    bundle of the parts' canonical layouts, which is made if it is left out. ``rows`` has what no
    part has.

    >>> unet = Layout("unet", [Row("conv.weight", "c.w")])
    >>> [str(row) for row in bundle("file", {"unet": ("model.", unet)}).rows]
    ['unet.conv.weight <-> model.c.w']
    """
    _check(name, parts, options.get("separator", "."))
    moved = [
        each
        for word, (start, layout) in parts.items()
        for row in layout.rows
        for each in _moved(row, word, start, layout)
    ]
    rows = list(rows)
    if base is None and any(layout.base is not None for _, layout in parts.values()):
        base = _canonical(parts, rows)
    aliases = {
        f"{word}_{number}": (
            number,
            *(f"{word}_{each}" if each in layout.aliases else each for each in other),
        )
        for word, (_, layout) in parts.items()
        for number in sorted(_numbers(layout) | layout.aliases.keys())
        for other in [layout.aliases.get(number, ())]
    }
    options = {"aliases": aliases, **options}
    return Layout(name, [*moved, *rows], base=base, **options)


def _canonical(
    parts: Mapping[str, tuple[str, Layout]], rows: Iterable[Row | Drop | Lacks]
) -> Layout:
    """Return the bundle of the canonical layouts, which has the same name for the same ones."""
    canonical = {word: (f"{word}.", layout.canonical) for word, (_, layout) in parts.items()}
    called = " and ".join(f"{each.name} as {word}" for word, (_, each) in canonical.items())
    return bundle(called, canonical, canonical_rows(rows))


def _numbers(layout: Layout) -> set[str]:
    """Return the named numbers in the conditions and the arithmetic of a layout."""
    found = set()
    for known, _ in (*layout.reading.patterns, *layout.writing.patterns):
        found |= {each.bound for each in known.where if not each.bound.isdecimal()}
        for terms in [piece.terms for piece in known.pieces if piece.terms]:
            found |= {name for name, _ in terms.numbers}
    return found


def _check(name: str, parts: Mapping[str, tuple[str, Layout]], separator: str) -> None:
    for word, (start, layout) in parts.items():
        if not _NAME.fullmatch(word) or (start and not start.endswith(separator)):
            raise LayoutError(
                f"bundle {name}: {word!r} with {start!r} is not a part; call it by a word, and let "
                f"its keys begin with names that end in {separator!r}"
            )
        if layout.separator != separator:
            raise LayoutError(
                f"bundle {name}: {layout.name} has {layout.separator!r} between its names, and the "
                f"bundle {separator!r}; give separator= that of all parts"
            )


def _moved(
    row: Row | Drop | Lacks, word: str, start: str, layout: Layout
) -> Iterator[Row | Drop | Lacks]:
    """Yield a row of a part as one of the bundle; a drop becomes one for each prefix."""
    if isinstance(row, Drop):
        for prefix in layout.prefixes if row.prefixed else ("",):
            shape = _shape(row.shape, word)
            here = _name(start + prefix, row.here, word)
            yield replace(row, here=here, shape=shape, prefixed=False)
    elif isinstance(row, Lacks):
        like = row.constant and replace(
            row.constant, like=_name(f"{word}.", row.constant.like, word)
        )
        canonical = _name(f"{word}.", row.canonical, word)
        where = _scoped(row.where, word)
        tied = row.tied and f"{word}.{row.tied}"
        yield replace(row, canonical=canonical, constant=like, where=where, tied=tied)
    else:
        yield _moved_row(row, word, start, layout.prefixes if row.prefixed else ("",))


def _moved_row(row: Row, word: str, start: str, prefixes: Iterable[str]) -> Row:
    first, *others = [
        tuple(_name(start + prefix, each, word) for each in names)
        for names in (row.names, *row.also_names)
        for prefix in prefixes
    ]
    return replace(
        row,
        canonical=tuple(_name(f"{word}.", each, word) for each in row.canonical_names),
        here=first,
        operation=row.operation if row.renames_only else OfPart(row.operation, word),
        shape=_shape(row.shape, word),
        prefixed=False,
        tied=row.tied and f"{word}.{row.tied}",
        given=row.given and f"{word}.{row.given}",
        where=_scoped(row.where, word),
        also=tuple(others),
    )


def _shape(sizes: tuple[Size, ...] | None, word: str) -> tuple[Size, ...] | None:
    """Return a shape with the numbers of a part."""
    if sizes is None:
        return None
    return tuple(
        size if isinstance(size, int) else _NAME.sub(lambda name: f"{word}_{name[0]}", size)
        for size in sizes
    )


def _name(start: str, name: str, word: str) -> str:
    """Return a name of a part behind the start of its keys, with the numbers of the part.

    >>> _name("model.", "blk.{i+n_dense}.{part:a-b|c}", "unet")
    'model.blk.{i+unet_n_dense}.{part:a-b|c}'
    """
    return start + _ARITHMETIC.sub(lambda body: _scoped(body[0], word), name)


def _scoped(text: str, word: str) -> str:
    """Return a condition or arithmetic with the numbers of a part.

    >>> _scoped("i % 2 == 0 and i < n_dense", "unet")
    'i % 2 == 0 and i < unet_n_dense'
    """
    return _NAME.sub(
        lambda name: name[0] if name[0] == "and" or len(name[0]) == 1 else f"{word}_{name[0]}", text
    )
