"""The shapes that a ``defcall`` gives its inputs: names for sizes, bound and checked in a call."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.syntax.datum import Datum, SourcePlace, Symbol, brief

ANY_RANK = "~"
_GRAMMAR = "write a name for each size, as X[batch n], ~ first for any further ones, or X[]"
_INPUT = re.compile(r"\s*(?P<name>[^\s\[\]]+)\s*\[(?P<sizes>[^\[\]]*)\]")


@attrs.frozen
class InputShape:
    """An input: its name, the names of its sizes, and whether any axes may precede these.

    Names are folded as Lisp's are. An input without sizes is a number or a tensor without axes.
    """

    name: str
    sizes: tuple[str, ...]
    any_rank: bool = False

    @property
    def is_scalar(self) -> bool:
        """Whether the input is one number."""
        return not self.sizes and not self.any_rank

    def __str__(self) -> str:
        sizes = (*((ANY_RANK,) if self.any_rank else ()), *self.sizes)
        return f"{self.name}[{' '.join(sizes)}]".lower()


def input_shapes(data: Sequence[Datum]) -> tuple[InputShape, ...]:
    """Return the inputs that the second list of a ``defcall`` declares.

    Brackets are letters of names to Lisp's reader, so that one shape may be several data.

    >>> from caten_sd.lisp.syntax.reader import read_data
    >>> [str(each) for each in input_shapes(read_data("X[~ n] Tokens[Batch Seq-Len] P[]"))]
    ['x[~ n]', 'tokens[batch seq-len]', 'p[]']
    """
    for datum in data:
        if not isinstance(datum, Symbol) or datum.is_keyword:
            raise LispError(datum.place, f"{brief(datum)} is not an input", _GRAMMAR)
    place = data[0].place if data else SourcePlace("", 0, 0)
    return tuple(_inputs(" ".join(str(_name(each)) for each in data), place))


def _name(datum: Datum) -> str:
    return datum.name if isinstance(datum, Symbol) else ""


def _inputs(text: str, place: SourcePlace) -> Iterator[InputShape]:
    position = 0
    names: set[str] = set()
    while text[position:].strip():
        found = _INPUT.match(text, position)
        if found is None:
            raise LispError(place, f"{text[position:].strip().lower()} is not an input", _GRAMMAR)
        if found["name"] in names:
            raise LispError(place, f"the input {found['name'].lower()} is there twice", "rename it")
        names.add(found["name"])
        yield _input(found["name"], found["sizes"].split(), place)
        position = found.end()


def _input(name: str, sizes: list[str], place: SourcePlace) -> InputShape:
    any_rank = sizes[:1] == [ANY_RANK]
    named = tuple(sizes[any_rank:])
    if ANY_RANK in named:
        raise LispError(place, f"~ is not the first size of {name.lower()}", _GRAMMAR)
    return InputShape(name, named, any_rank)


def bind_inputs(
    declared: Sequence[InputShape], inputs: Sequence[Any], called: str, place: SourcePlace
) -> dict[str, Any]:
    """Return variables: each input by its name, each size by its own.

    LispError if their number is another one, an input has another rank, or a size two values.
    """
    if len(inputs) != len(declared):
        shown = " ".join(map(str, declared)) or "none"
        raise LispError(
            place,
            f"{called} was called with {len(inputs)} input{'s' * (len(inputs) != 1)}",
            f"pass {len(declared)}: {shown}",
        )
    binding = _Sizes(called, place)
    for shape, value in zip(declared, inputs, strict=True):
        binding.take(shape, value)
    # Of an input and a size with one name Caten sees the size.
    return {**dict(zip([each.name for each in declared], inputs, strict=True)), **binding.sizes}


@attrs.define
class _Sizes:
    called: str
    place: SourcePlace
    sizes: dict[str, int] = attrs.field(factory=dict)
    _leading: tuple[InputShape, tuple[int, ...]] | None = None
    _first: dict[str, InputShape] = attrs.field(factory=dict)

    def take(self, declared: InputShape, value: Any) -> None:
        shape = self._shape(declared, value)
        rank = len(declared.sizes)
        if len(shape) < rank or (len(shape) > rank and not declared.any_rank):
            least = "at least " * declared.any_rank
            raise self._error(
                f"{declared} has the shape {shape}",
                f"pass {'a number' if declared.is_scalar else 'a tensor'} of {least}{rank} axes",
            )
        if declared.any_rank:
            self._take_leading(declared, shape[: len(shape) - rank])
        for name, size in zip(declared.sizes, shape[len(shape) - rank :], strict=True):
            self._take_size(declared, name, size)

    def _shape(self, declared: InputShape, value: Any) -> tuple[int, ...]:
        if hasattr(value, "shape"):
            return tuple(value.shape)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return ()
        raise self._error(
            f"{declared} is {'nil' if value is None else repr(value)[:60]}", "pass a tensor"
        )

    def _take_leading(self, declared: InputShape, sizes: tuple[int, ...]) -> None:
        if self._leading is None:
            self._leading = declared, sizes
        other, known = self._leading
        if known != sizes:
            raise self._error(
                f"~ is {known} in {other} and {sizes} in {declared}", "pass tensors of one shape"
            )

    def _take_size(self, declared: InputShape, name: str, size: int) -> None:
        first = self._first.setdefault(name, declared)
        known = self.sizes.setdefault(name, size)
        if known != size:
            raise self._error(
                f"{name.lower()} is {known} in {first} and {size} in {declared}",
                "pass tensors whose sizes agree",
            )

    def _error(self, problem: str, remedy: str) -> LispError:
        return LispError(self.place, f"in a call of {self.called} {problem}", remedy)
