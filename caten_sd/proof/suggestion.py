"""A layout between states whose names do not meet, suggested by names and shapes alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from caten_sd.errors import StateDictError
from caten_sd.mapping.key_templates import Shape, Template
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Identity, Operation, Transpose
from caten_sd.mapping.pattern_pieces import is_name
from caten_sd.mapping.rearrange import Rearrange
from caten_sd.mapping.rows import Row
from caten_sd.mapping.suggested_rows import Suggested, Suggestions, suggestions
from caten_sd.proof.arrangement import axis_name
from caten_sd.proof.given_states import given_states
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.options import checked_options
from caten_sd.state.sheet import HasSheet, Sheet
from caten_sd.state.sheet_groups import SheetGroup, SheetRow
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import counted

TOLD = "told by its shape"
PLACED = "at one place in modules of the same sizes"
_ROW = "\n[[rows]]\n"  # how each begins in a TOML file; no name there has a line end


@attrs.frozen(repr=False)
class Suggestion(HasSheet):
    """A layout of B to be corrected, with the names of A as the canonical ones.

    ``layout`` is None where nothing is suggested. ``told`` has the rows that shapes tell alone,
    ``placed`` those of tensors at one place in modules of the same sizes, and ``guessed`` the
    others, each with how alike its words are, from 0 to 1. ``left`` has the names of A and of B
    that are open.
    """

    layout: Layout | None
    told: Sequence[Row]
    placed: Sequence[Row]
    guessed: Mapping[Row, float]
    left: tuple[Sequence[str], Sequence[str]]
    tensors: tuple[int, int]
    suggested: tuple[int, int]

    @property
    def is_whole(self) -> bool:
        """Whether each tensor of both has a row."""
        return self.tensors == self.suggested

    @property
    def verdict(self) -> str:
        """How many tensors of A and B have a row, and how many rows are guesses."""
        sides = [
            f"{some:,} of {counted(count, 'tensor')} in {side}"
            for side, some, count in zip("AB", self.suggested, self.tensors, strict=True)
        ]
        rows = counted(len(self.told), "row that shapes tell", "rows that shapes tell")
        if self.placed:
            rows += f", {len(self.placed):,} that modules of the same sizes tell"
        guesses = counted(len(self.guessed), "guess", "guesses")
        return f"{' and '.join(sides)} have a row: {rows}, {guesses}"

    def sheet(self) -> Sheet:
        """Return the sheet: the rows that sizes tell, the guesses, the surest first, the rest."""
        told, placed = ([_in_sheet(row, None) for row in own] for own in (self.told, self.placed))
        surest = sorted(self.guessed.items(), key=lambda each: -each[1])
        guesses = [_in_sheet(*each) for each in surest]
        groups = [
            SheetGroup(TOLD, told),
            SheetGroup(PLACED, placed),
            SheetGroup("guessed by words, the surest first", guesses),
            *(
                SheetGroup(f"open in {side}", [SheetRow(name) for name in names])
                for side, names in zip("AB", self.left, strict=True)
            ),
        ]
        notes = ["names and shapes prove nothing: correct the guesses before the layout is used"]
        return Sheet("suggestion", self.verdict, notes, [g for g in groups if g.rows])

    def to_toml(self) -> str:
        """Return the text of a TOML file for the layout, with what shows each row before it."""
        if self.layout is None:
            raise StateDictError("nothing is suggested, so there is no layout to write")
        head, *rows = self.layout.to_toml().split(_ROW)
        said = [self._said(row) for row in self.layout.rows if isinstance(row, Row)]
        marked = [f"\n# {text}{_ROW}{row}" for text, row in zip(said, rows, strict=True)]
        return head + "".join(marked)

    def _said(self, row: Row) -> str:
        if row in self.told:
            return f"{TOLD}: no other has these sizes"
        if row not in self.guessed:
            return f"a guess: they are {PLACED}; correct it or remove it"
        return f"a guess: the words are {self.guessed[row]:.2f} alike; correct it or remove it"


@checked_options()
def suggest(
    a: Any,
    b: Any,
    *,
    name: str = "mine",
) -> Suggestion:
    """Return a layout between states whose names do not meet, by names and shapes alone.

    The states are state dicts, locations or live models. The names of ``a`` are the canonical ones,
    and the layout, of this ``name``, is that of ``b``. It is a draft: nothing is read, and shapes
    prove a row only where no other tensor has them. What modules of the same sizes tell is marked
    apart. Where both have the same weights, `explain` finds the layout from the values.

    >>> import numpy
    >>> w = numpy.zeros((2, 3))
    >>> print(suggest({"fc.weight": w}, {"dense.kernel": w.T}))
    1 of 1 tensor in A and 1 of 1 tensor in B have a row: 1 row that shapes tell, 0 guesses
      names and shapes prove nothing: correct the guesses before the layout is used
    told by its shape (1):
      fc.weight <-> dense.kernel: Transpose(axes=None)
    """
    with given_states(a, b, done="suggested") as states:
        here, there = map(_shapes, states)
    found = suggestions(*({k: s for k, s in each.items() if is_name(k)} for each in (here, there)))
    rows = {_row(pair, found): pair for pair in found.pairs}
    layout = Layout(name, list(rows)) if rows else None
    count = sum(pair.a.tensors for pair in found.pairs)
    return Suggestion(
        layout,
        [row for row, pair in rows.items() if pair.told],
        [row for row, pair in rows.items() if pair.placed and not pair.told],
        {row: pair.score for row, pair in rows.items() if not pair.told and not pair.placed},
        (_left(found.a, here), _left(found.b, there)),
        (len(here), len(there)),
        (count, count),
    )


def _shapes(state: StateDict) -> dict[str, Shape]:
    known = {key: spec_or_none(leaf) for key, leaf in state.items() if key not in state.ties}
    return {key: each.shape for key, each in known.items() if each is not None}


def _left(found: Sequence[Template], shapes: Mapping[str, Shape]) -> list[str]:
    return [each.text for each in found] + [key for key in shapes if not is_name(key)]


def _row(pair: Suggested, found: Suggestions) -> Row:
    return Row(pair.a.text, pair.b.text, _operation(pair.a.shape, pair.b.shape, found.turned))


def _operation(here: Shape, there: Shape, turned: bool) -> Operation:
    """Return the operation between two shapes; a square matrix is turned where the others are."""
    is_square = len(here) == 2 and here[0] == here[1]
    if here == there and not (turned and is_square):
        return Identity()
    if here == there[::-1]:
        return Transpose()
    letters = [axis_name(n) for n in range(len(here))]
    left = " ".join("1" if n == 1 else letters[i] for i, n in enumerate(here))
    rest = [letters[i] for i, n in enumerate(here) if n != 1]
    sizes = [n for n in here if n != 1]
    if [n for n in there if n != 1] != sizes:
        rest, sizes = _reordered(rest, sizes, [n for n in there if n != 1])
    names = iter(rest)
    return Rearrange(f"{left} -> {' '.join('1' if n == 1 else next(names) for n in there)}")


def _reordered(
    names: Sequence[str], sizes: Sequence[int], wanted: Sequence[int]
) -> tuple[list[str], list[int]]:
    """Return the names of axes in the order of other sizes; equal ones stay in order."""
    free = list(zip(sizes, names, strict=True))
    found = []
    for size in wanted:
        each = next(pair for pair in free if pair[0] == size)
        free.remove(each)
        found.append(each[1])
    return found, list(wanted)


def _in_sheet(row: Row, score: float | None) -> SheetRow:
    operation = "" if row.renames_only else repr(row.operation)
    alike = "" if score is None else f"{score:.2f} alike"
    data = {"a": row.canonical, "b": row.names[0], "operation": operation, "score": score}
    return SheetRow(str(row), "; ".join(filter(None, [alike, operation])), data=lambda: data)
