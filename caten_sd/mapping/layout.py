"""A layout: a named convention for the keys and orientations of one architecture, as frozen data.

Its rows refer to the canonical names of the architecture, so any two layouts of one architecture
convert through those names. Building a layout proves that it can be undone.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

from caten_sd.errors import LayoutError
from caten_sd.mapping.field_kinds import checked_fields
from caten_sd.mapping.layout_modules import called
from caten_sd.mapping.number_overlap import trials_of_one_file
from caten_sd.mapping.rank_names import check_rank_file
from caten_sd.mapping.rows import Drop, Lacks, Row, canonical_rows
from caten_sd.mapping.rules import (
    Side,
    check_coverage,
    check_lacking,
    check_row,
    check_side,
    compile_reading,
    compile_writing,
)
from caten_sd.mapping.size_expressions import parsed as parsed_size
from caten_sd.mapping.templates import Finder, Matcher
from caten_sd.mapping.toml_fields import fields_of
from caten_sd.mapping.toml_input import parsed, values_of
from caten_sd.mapping.toml_text import text_of


@checked_fields
@dataclass(frozen=True, eq=False, repr=False)
class Layout:
    """The rows of one layout; LayoutError if they have no exact inverse.

    ``base`` is the layout of the canonical names; without it, the rows' own canonical names count.
    ``prefixes`` are what a key may begin with; the first is written. ``separator`` is what its
    names have between segments. ``counts`` names the number that a captured index counts.
    ``aliases`` are other names of a number in a configuration. ``metadata`` is what a file in this
    layout says of itself, ``sizes`` the keys of its metadata that hold a number, each with the name
    of the number, or with a constant or an expression, as size_expressions.py has them.
    ``model_types`` are what a config.json or a GGUF calls the architecture; the architecture's own
    name, and that of the layout behind its first hyphen, always count. ``only_if`` has entries of a
    file's metadata or config.json that tell the layout from one with the same names and shapes:
    other values exclude it, and without any the other one is likelier; "|" divides values that
    count alike. ``rank_file`` is where a rank's part of a model is written, as
    "mp_rank_{rank:02}/model_optim_rng.pt::model"; what follows "::" is a place in the file.
    ``proof`` says what shows that the rows are right, such as equal outputs of the original code;
    without it nothing but the names is known.

    >>> layout = Layout("mine", [Row("encoder.{i}.weight", "enc.{i}.w")])
    >>> layout, layout.canonical
    (Layout('mine'), Layout('mine-canonical'))
    """

    name: str
    rows: Sequence[Row | Drop | Lacks]
    _: KW_ONLY
    base: Layout | None = None
    architecture: str = ""
    prefixes: Sequence[str] = ("",)
    separator: str = "."
    counts: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    model_types: Collection[str] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, int | float | str] = field(default_factory=dict)
    only_if: Mapping[str, str] = field(default_factory=dict)
    rank_file: str = ""
    proof: str = ""

    stamps: ClassVar[bool] = True  # whether a file in the layout has its name in its metadata
    implies_source: ClassVar[bool] = False  # whether what is put into it is in its canonical layout

    def __post_init__(self) -> None:
        if not self.name or not self.rows:
            raise LayoutError("a layout needs a name and at least one row")
        self._freeze()
        try:
            self._check()
        except LayoutError as error:
            raise LayoutError(f"layout {self.name}: {error}") from None

    def _freeze(self) -> None:
        base = self.base
        architecture = self.architecture or (base.architecture if base else self.name)
        called = self.model_types or (base.model_types if base else ())
        inherited = {
            "architecture": architecture,
            "model_types": frozenset({*called, architecture, self.name.partition("-")[2]} - {""}),
            "counts": MappingProxyType({**(base.counts if base else {}), **self.counts}),
            "aliases": MappingProxyType({**(base.aliases if base else {}), **self.aliases}),
        }
        own = {"rows": tuple(self.rows), "prefixes": tuple(self.prefixes)}
        for name, value in {**own, **inherited}.items():
            object.__setattr__(self, name, value)

    def _check(self) -> None:
        for prefix in self.prefixes:
            if prefix and not prefix.endswith(self.separator):
                raise LayoutError(f"the prefix {prefix!r} does not end with {self.separator!r}")
        for row in self.rows:
            if isinstance(row, Row):
                check_row(row, self.separator)
            elif isinstance(row, Lacks):
                check_lacking(row)
        check_rank_file(self.rank_file)
        for size in self.sizes.values():
            if isinstance(size, str):
                parsed_size(size)
        check_side(self.reading)
        check_side(self.writing)
        if self.base is not None:
            check_coverage(list(self.rows), self.base.canonical.reading)

    @cached_property
    def reading(self) -> Side:
        """The rules from this layout's names to the canonical ones."""
        return compile_reading(self.rows, self.prefixes, self.separator)

    @cached_property
    def writing(self) -> Side:
        """The rules from the canonical names to this layout's."""
        return compile_writing(self.rows, self.prefixes[0], self.separator)

    def writing_with(self, prefix: str | None) -> Side:
        """Return the rules of ``writing`` with another of its prefixes."""
        if prefix is None or prefix == self.prefixes[0]:
            return self.writing
        if prefix not in self.prefixes:
            known = ", ".join(map(repr, self.prefixes))
            raise LayoutError(
                f"{prefix!r} is not a prefix of layout {self.name}; give one of {known}"
            )
        return compile_writing(self.rows, prefix, self.separator)

    def prefix_in(self, keys: Collection[str]) -> str:
        """Return the prefix with which most of its names are among these keys, the first if equal.

        >>> Layout("hf", [Row("w"), Row("b")], prefixes=("model.", "")).prefix_in({"w": 1, "b": 2})
        ''
        """
        if len(self.prefixes) == 1 or not keys:
            return self.prefixes[0]
        return max(self.prefixes, key=lambda prefix: self._met(prefix, keys))

    def _met(self, prefix: str, keys: Iterable[str]) -> int:
        """Return how many keys are names of the layout with this prefix."""
        rules = self.writing_with(prefix).rules
        names = [(name, None) for rule in rules for name in rule.outputs]
        finder = Finder(Matcher(names, self.separator))
        return sum(bool(finder.matches(key)[0]) for key in keys)

    @property
    def is_canonical(self) -> bool:
        """Whether its names are the canonical ones, and no others are read."""
        plain = self.base is None and self.prefixes == ("",) and self.separator == "."
        return plain and all(
            isinstance(row, Row)
            and row.renames_only
            and row.names == row.canonical_names
            and not row.also
            for row in self.rows
        )

    @cached_property
    def canonical(self) -> Layout:
        """The layout of the canonical names: its base, itself, or one made of its rows."""
        if self.base is not None:
            return self.base.canonical
        if self.is_canonical:
            return self
        rows = canonical_rows(self.rows)
        name, counts, aliases = f"{self.name}-canonical", self.counts, self.aliases
        architecture = self.architecture
        return Layout(name, rows, architecture=architecture, counts=counts, aliases=aliases)

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Layout:
        """Return the layout of a TOML file, of which nothing runs; LayoutError if it is not one.

        ``base`` in the file is the name of a layout that is known here, or a table that is one.
        """
        with trials_of_one_file():
            return cls._from_values(parsed(path), str(path))

    @classmethod
    def _from_values(cls, values: Mapping[str, Any], where: str) -> Layout:
        kinds = {each.name: str(each.type) for each in dataclasses.fields(cls)}
        fields = fields_of(values, kinds, where)
        base = fields.get("base")
        if isinstance(base, Mapping):
            fields["base"] = cls._from_values(base, f"{where}, base")
        elif base is not None:
            fields["base"] = called(cls, base) if isinstance(base, str) else None
            if fields["base"] is None:
                raise LayoutError(
                    f"{where}: no layout is called {base!r:.60}, which is its base; correct it, or "
                    f"write the base in the same file, as a table [base]"
                )
        try:
            return cls(**fields)
        except LayoutError as error:
            raise LayoutError(f"{where}: {error}") from None

    def to_toml(self) -> str:
        """Return the layout as the text of a TOML file, which ``from_toml`` reads.

        LayoutError if it has your own operation, or more than such a file may hold.

        >>> print(Layout("mine", [Row("a.w", "x.w")]).to_toml().splitlines()[-2:])
        ['canonical = "a.w"', 'here = "x.w"']
        """
        text = text_of(self._values())
        where = f"layout {self.name} as TOML"
        with trials_of_one_file():
            self._from_values(values_of(where, text.encode()), where)
        return text

    def _values(self) -> dict[str, Any]:
        """Return the fields that are not as they are by default, or as in the base."""
        base = self.base
        found: dict[str, Any] = {"name": self.name}
        if base is not None:
            known = called(type(self), base.name)
            found["base"] = base.name if known is base else base._values()
        implied = {self.architecture, self.name.partition("-")[2]}
        inherited = implied | (set(base.model_types) if base else set())
        default = base.architecture if base else self.name
        own = {
            "architecture": "" if self.architecture == default else self.architecture,
            "prefixes": [] if self.prefixes == ("",) else self.prefixes,
            "separator": "" if self.separator == "." else self.separator,
            "model_types": self._own_model_types(inherited, implied),
            "counts": _besides(self.counts, base.counts if base else {}),
            "aliases": _besides(self.aliases, base.aliases if base else {}),
            "metadata": self.metadata,
            "sizes": self.sizes,
            "only_if": self.only_if,
            "rank_file": self.rank_file,
            "proof": self.proof,
        }
        return {**found, **{name: value for name, value in own.items() if value}, "rows": self.rows}

    def _own_model_types(self, inherited: set[str], implied: set[str]) -> list[str]:
        """Return the model types to write: none where they are as they would be without them."""
        own = set(self.model_types)
        return [] if own == inherited else sorted(own - implied or own)

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever reads what it gives should know, beyond names and the order of axes."""
        return ()

    def __repr__(self) -> str:
        return f"Layout({self.name!r})"


def _besides(values: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a mapping that are not those of another.

    >>> _besides({"i": "n_layer", "e": "n_expert"}, {"i": "n_layer"})
    {'e': 'n_expert'}
    """
    return {
        name: value for name, value in values.items() if name not in others or others[name] != value
    }
