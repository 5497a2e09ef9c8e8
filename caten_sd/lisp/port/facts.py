"""What is found out about types while a file is translated, pass after pass."""

from __future__ import annotations

import attrs

from caten_sd.lisp.port.python_text.expressions import Expression
from caten_sd.lisp.port.python_text.python_types import NONE, is_optional, joined, optional, present

NUMBER = "number"  # an int, or a fraction that is one in the end
_WEAK = ("", "bool", NUMBER, "float")  # needs that a stronger one replaces


@attrs.define
class Facts:
    """The types of arguments, slots and results: those given to them, and those that they need.

    A fact has the types of its sources too, whose needs are its own.
    """

    given: dict[str, str] = attrs.field(factory=dict)
    needed: dict[str, str] = attrs.field(factory=dict)
    sources: dict[str, dict[str, bool]] = attrs.field(factory=dict)  # and whether None is excluded
    input_names: dict[str, str] = attrs.field(factory=dict)  # what callers call an input
    calls: dict[str, set[str]] = attrs.field(factory=dict)  # functions that a definition calls
    missing: set[str] = attrs.field(factory=set)  # slots and others that are not translated
    set_again: set[str] = attrs.field(factory=set)  # variables that do not keep their first value
    changed: bool = False
    _missed: set[str] = attrs.field(factory=set)  # those of this pass

    def call(self, caller: str, name: str) -> None:
        """Remember that a definition calls a function, so that none of its variables hides it."""
        known = self.calls.setdefault(caller, set())
        if name not in known:
            known.add(name)
            self.changed = True

    def give(self, fact: str, type_: str) -> None:
        """Remember that a value of this type is passed."""
        if fact and type_:
            self._set(self.given, fact, joined(self.given.get(fact, ""), type_))

    def flow(self, fact: str, value: Expression) -> None:
        """Remember that a value is passed, whose own type may not be known yet."""
        if not value.fact or value.fact == fact:
            self.give(fact, value.type)
            return
        sources = self.sources.setdefault(fact, {})
        narrowed = is_optional(self.type_of(value.fact)) and not is_optional(value.type)
        if sources.get(value.fact, True) and sources.get(value.fact) != narrowed:
            sources[value.fact] = narrowed
            self.changed = True

    def need(self, fact: str, type_: str) -> None:
        """Remember that a value of this type is needed."""
        if not fact or not type_ or type_ == NONE:
            return
        known = self.needed.get(fact, "")
        if known in _WEAK or (known, type_) == ("Tensor", "int"):
            self._set(self.needed, fact, known if type_ in _WEAK and known else type_)

    def forget_need(self, fact: str) -> None:
        """Forget a need that an earlier pass saw, which knew less."""
        self.changed |= self.needed.pop(fact, None) is not None

    def spread(self) -> None:
        """Let what needs a type ask its sources for it, and what is missing be known."""
        self.changed |= self.missing != self._missed
        self.missing, self._missed = self._missed, set()
        for fact, sources in self.sources.items():
            needed = self.needed.get(fact, "")
            for source, narrowed in sources.items():
                if narrowed or not is_optional(self.type_of(fact)):
                    self.need(source, needed)

    def miss(self, fact: str) -> None:
        """Remember that what has this name is not translated."""
        self._missed.add(fact)

    def is_missing(self, fact: str) -> bool:
        """Return whether what has this name was not translated in the pass before."""
        return fact in self.missing

    def sets_again(self, fact: str) -> None:
        """Remember that a variable is given another value."""
        self.changed |= fact not in self.set_again
        self.set_again.add(fact)

    def is_known(self, fact: str) -> bool:
        """Return whether anything is passed."""
        return fact in self.given or fact in self.sources

    def is_size(self, fact: str) -> bool:
        """Return whether an integer is needed, so that a quotient is made one where it is set."""
        return self.needed.get(fact) == "int"

    def type_of(self, fact: str) -> str:
        """Return the type of an argument, a slot or a result."""
        given, needed = self._known(fact, frozenset()), self._needed(fact)
        if given in ("", NONE):
            return optional(needed) if given == NONE and needed != "bool" else needed or given
        return given

    def _known(self, fact: str, seen: frozenset[str]) -> str:
        type_ = self.given.get(fact, "")
        if fact in seen:
            return type_
        for source, narrowed in self.sources.get(fact, {}).items():
            own = self._known(source, seen | {fact})
            if own in ("", NONE) and (needed := self._needed(source)):
                own = optional(needed) if own == NONE and needed != "bool" else needed
            type_ = joined(type_, present(own) if narrowed else own)
        return "int" if type_ == "Fraction" and self.is_size(fact) else type_

    def _needed(self, fact: str) -> str:
        needed = self.needed.get(fact, "")
        return "int" if needed == NUMBER else needed

    def _set(self, types: dict[str, str], fact: str, type_: str) -> None:
        if types.get(fact, "") != type_:
            types[fact] = type_
            self.changed = True


def device_fact(result_fact: str) -> str:
    """Return the name under which it is found out that a function makes tensors."""
    return f"device of {result_fact}"
