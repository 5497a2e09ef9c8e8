"""The layout between the models of two worlds: it is of two objects, so no file can name it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import ClassVar

from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import canonical_rows


@dataclass(frozen=True, eq=False, repr=False)
class LayoutBetween(Layout):
    """A layout whose canonical names are the keys of one model, and whose names are another's.

    So what is put into it is in its canonical layout. ``said`` is what else than a name or an order
    differs, such as biases that are added, or an epsilon.
    """

    _: KW_ONLY
    said: tuple[str, ...] = ()

    stamps: ClassVar[bool] = False
    implies_source: ClassVar[bool] = True

    @cached_property
    def canonical(self) -> Layout:
        """The layout of the first model's keys, in which a state dict of it is."""
        if self.is_canonical:
            return self
        return LayoutBetween(f"{self.name}-canonical", canonical_rows(self.rows))

    @property
    def notes(self) -> tuple[str, ...]:
        """What else than a name or an order differs."""
        return self.said
