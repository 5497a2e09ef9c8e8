"""Patterns of keys: names between separators, anchored at both ends, with captures.

``{i}``, one letter, captures an index, and ``{3*a+j+1}`` two. ``{part}``, a longer word, captures a
name, ``{part:weight|bias}`` one of the choices, ``{path...}`` one or more segments, which alone
cross a separator; the others may be a part of a segment, as in ``layer_{i}``. ``{path..._}`` is the
same path with "_" between its segments, which only the keys of a model distinguish from the others.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Lookup
from caten_sd.mapping.conditions import conditions
from caten_sd.mapping.pattern_pieces import Piece, segments

Kind = tuple[str, tuple[str, ...]]  # of a capture: its kind and its choices


class Pattern:
    """A key with captures, such as ``h.{i}.attn.{part}``; make it with ``pattern(text)``.

    ``separator`` divides the names of this side. ``where`` holds for the captured indices.
    ``pieces`` are those of all segments. A pattern ``is_plain`` if its keys have each captured
    index as it is.
    """

    __slots__ = (
        "captures",
        "is_plain",
        "kinds",
        "pieces",
        "segments",
        "separator",
        "template",
        "text",
        "where",
    )

    def __init__(self, text: str, separator: str = ".", where: str = "") -> None:
        self.text, self.separator = text, separator
        self.segments = segments(text, separator)
        self.where = conditions(where)
        self.pieces: list[Piece] = [piece for segment in self.segments for piece in segment]
        self.is_plain = all(each.terms is None or each.terms.is_plain for each in self.pieces)
        captures = [name for piece in self.pieces for name in piece.captures]
        self.captures = frozenset(captures)
        self._check(captures)
        self.kinds: dict[str, Kind] = {
            name: ("rest" if piece.kind == "joined" else piece.kind, piece.choices)
            for piece in self.pieces
            for name in piece.captures
        }
        self.template = separator.join("".join(map(_slot, segment)) for segment in self.segments)

    def _check(self, captures: list[str]) -> None:
        if len(self.captures) < len(captures):
            raise LayoutError(f"{self.text!r} captures one name twice; give each capture its own")
        if sum(piece.kind == "rest" for piece in self.pieces) > 1:
            raise LayoutError(f"{self.text!r} has two captures of several segments; write one")
        for each in self.where:
            if each.name not in self.captures:
                raise LayoutError(
                    f"{self.text!r} does not capture {{{each.name}}}, which where= compares; "
                    f"capture it in all names of the row"
                )

    def key(self, captured: Mapping[str, Any], lookup: Lookup | None = None) -> str:
        """Return the key with the captures filled in.

        >>> pattern("h.{i}.ln_1.{part:weight|bias}").key({"i": 3, "part": "bias"})
        'h.3.ln_1.bias'
        >>> pattern("unet/{path...}/h{2*i+1}", "/").key({"path": "down.0", "i": 1})
        'unet/down/0/h3'
        """
        if not self.captures:
            return self.text
        values = dict(captured)
        for piece in self.pieces:
            if piece.terms is not None and not piece.terms.is_plain:
                values[piece.text] = piece.terms.value(captured, lookup)
            elif piece.kind == "joined":
                values[piece.text] = str(captured[piece.text]).replace(".", "_")
            elif self.separator != "." and piece.kind in ("name", "rest"):
                values[piece.text] = self._separated(str(captured[piece.text]))
        return self.template.format_map(values)

    def _separated(self, text: str) -> str:
        if self.separator in text:
            raise LayoutError(
                f"{text!r} holds {self.separator!r}, which separates the names of the layout, so "
                f"it could not be read back"
            )
        return text.replace(".", self.separator)

    def __repr__(self) -> str:
        return f"pattern({self.text!r})"


pattern = functools.cache(Pattern)


def joined_paths(keys: Iterable[str]) -> dict[str, str]:
    """Return the paths that begin keys by their text with "_" between the segments.

    LayoutError where two paths have one text.

    >>> joined_paths(["down.0.to_q.weight"])["down_0_to_q"]
    'down.0.to_q'
    """
    found: dict[str, str] = {}
    for name in keys:
        words = name.split(".")
        for count in range(1, len(words) + 1):
            path = ".".join(words[:count])
            if found.setdefault(path.replace(".", "_"), path) != path:
                raise LayoutError(
                    f"{found[path.replace('.', '_')]} and {path} of against= or --against are one "
                    f"text with '_' between their names, and nothing distinguishes them; rename one"
                )
    return found


def is_index(capture: str) -> bool:
    """Return whether a capture of this name takes an index, that is, has one letter."""
    return len(capture) == 1


def _slot(piece: Piece) -> str:
    return piece.text if piece.kind == "literal" else f"{{{piece.text}}}"
