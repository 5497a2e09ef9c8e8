"""A clause of the contract: a name, one sentence, and a check that raises if it does not hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, overload

from caten_sd.files.format import Format
from caten_sd.testing.subject import Subject

Check = Callable[[Subject], None]


@dataclasses.dataclass(frozen=True)
class Clause:
    """One thing that a format promises: its check is given a format and an empty folder.

    ``lazy`` is set if only a format with lazy leaves can keep it, ``one_leaf`` if it also holds for
    a format of one leaf, ``unwritten`` if it needs only sound files, ``hostile`` if it is about
    damaged ones, and ``metadata`` if it is for a format that holds metadata.
    """

    check: Check
    lazy: bool = False
    one_leaf: bool = False
    unwritten: bool = False
    hostile: bool = False
    metadata: bool = False

    @property
    def name(self) -> str:
        """The name, as a message has it."""
        return self.check.__name__.replace("_", " ")

    @property
    def sentence(self) -> str:
        """What is promised, in one sentence."""
        return (self.check.__doc__ or "").partition("\n")[0].rstrip(".")

    def is_about(self, format: Format, *, lazy: bool, written: bool, files: bool) -> bool:
        """Return whether the clause can be tried on a format, with or without files of it."""
        if not (written or (self.unwritten and files)) or (self.lazy and not lazy):
            return False
        if self.metadata and not format.holds_metadata:
            return False
        return self.one_leaf or not format.one_leaf

    def __str__(self) -> str:
        return f"{self.name}: {self.sentence}"


@overload
def clause(check: Check, /) -> Clause: ...
@overload
def clause(**facts: bool) -> Callable[[Check], Clause]: ...
def clause(check: Check | None = None, /, **facts: bool) -> Any:
    """Make a clause of a check, whose name and docstring are those of the clause."""
    if check is not None:
        return Clause(check)
    return lambda check: Clause(check, **facts)
