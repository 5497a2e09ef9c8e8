"""The clauses of ``loop`` as values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol, brief


@attrs.frozen
class LoopWith:
    """``with x = form``: a variable that is set once."""

    variable: Datum
    form: Datum | None


@attrs.frozen
class LoopRepeat:
    """``repeat form``: how often at most."""

    count: Datum


@attrs.frozen
class LoopOver:
    """``for x in list``, ``on list`` or ``across vector``, perhaps ``by`` a function."""

    variable: Datum
    how: str
    source: Datum
    by: Datum | None = None


@attrs.frozen
class LoopNumbers:
    """``for x from a to b by c``; the end counts if it is inclusive."""

    variable: Datum
    start: Datum | None
    end: Datum | None
    by: Datum | None
    down: bool = False
    inclusive: bool = True


@attrs.frozen
class LoopEquals:
    """``for x = form then form``."""

    variable: Datum
    first: Datum
    then: Datum


@attrs.frozen
class LoopTest:
    """``while``, ``until``, ``always``, ``never`` or ``thereis``, and a form."""

    verb: str
    form: Datum


@attrs.frozen
class LoopGather:
    """``collect``, ``append``, ``sum``, ``count``, ``maximize`` or ``minimize`` a form."""

    verb: str
    form: Datum
    into: Symbol | None


@attrs.frozen
class LoopDo:
    """``do`` forms."""

    forms: tuple[Datum, ...]


@attrs.frozen
class LoopReturn:
    """``return form``."""

    form: Datum


@attrs.frozen
class LoopChoice:
    """``when`` or ``unless`` a test, clauses; ``else`` others."""

    test: Datum
    negated: bool
    then: tuple[LoopBody, ...]
    otherwise: tuple[LoopBody, ...]


LoopHead: TypeAlias = LoopWith | LoopRepeat | LoopOver | LoopNumbers | LoopEquals
LoopBody: TypeAlias = LoopTest | LoopGather | LoopDo | LoopReturn | LoopChoice


@attrs.frozen
class LoopClauses:
    """All clauses of a loop, in order."""

    name: str
    heads: tuple[LoopHead, ...]
    body: tuple[LoopBody, ...]
    initially: tuple[Datum, ...] = ()
    finally_: tuple[Datum, ...] = ()


def loop_clauses(form: Form) -> LoopClauses:
    """Return the clauses of a loop; LispError for one that is not known.

    >>> from caten_sd.lisp.syntax.reader import read_data
    >>> loop = loop_clauses(*read_data("(loop for i from 1 to n collect (Linear i i))"))
    >>> type(loop.heads[0]).__name__, loop.body[0].verb
    ('LoopNumbers', 'COLLECT')
    """
    return _LoopReader(form, list(form.rest)).read()


_GATHERED = {
    **{
        f"{verb}{end}": verb
        for verb in ("COLLECT", "APPEND", "SUM", "COUNT")
        for end in ("", "ING")
    },
    "SUMMING": "SUM",
    "NCONC": "APPEND",
    "NCONCING": "APPEND",
    **{f"{verb}{end}": f"{verb}E" for verb in ("MAXIMIZ", "MINIMIZ") for end in ("E", "ING")},
}
_TESTS = ("WHILE", "UNTIL", "ALWAYS", "NEVER", "THEREIS")
_FROM = {"FROM": False, "UPFROM": False, "DOWNFROM": True}
_TO = {"TO": True, "UPTO": True, "BELOW": False, "DOWNTO": True, "ABOVE": False}
_CLAUSES = "for, with, repeat, while, until, collect, append, sum, count, when, unless, do, return"


@attrs.define
class _LoopReader:
    form: Form
    left: list[Datum]

    def read(self) -> LoopClauses:
        name = "NIL"
        heads: list[LoopHead] = []
        body: list[LoopBody] = []
        initially: tuple[Datum, ...] = ()
        finally_: tuple[Datum, ...] = ()
        if self.word("NAMED"):
            name = getattr(self.next(), "name", "NIL")
        while self.left:
            if self.word("WITH"):
                heads += list(self.withs())
            elif self.word("FOR", "AS"):
                heads += list(self.fors())
            elif self.word("REPEAT"):
                heads.append(LoopRepeat(self.next()))
            elif self.word("INITIALLY"):
                initially += self.forms()
            elif self.word("FINALLY"):
                finally_ += self.finals()
            else:
                body.append(self.clause())
        return LoopClauses(name, tuple(heads), tuple(body), initially, finally_)

    def peek(self) -> str:
        datum = self.left[0] if self.left else None
        return datum.name if isinstance(datum, Symbol) else ""

    def word(self, *names: str) -> str:
        """Take the next word if it is one of these, and return it; else return ""."""
        found = self.peek()
        if found in names:
            del self.left[0]
            return found
        return ""

    def next(self) -> Datum:
        if not self.left:
            raise LispError(self.form.place, f"{brief(self.form)} ends in a clause", "complete it")
        return self.left.pop(0)

    def forms(self) -> tuple[Datum, ...]:
        found = []
        while self.left and isinstance(self.left[0], Form):
            found.append(self.left.pop(0))
        return tuple(found)

    def finals(self) -> tuple[Datum, ...]:
        if self.peek() == "RETURN":
            word = self.next()
            return (Form((word, self.next()), None, word.place),)
        self.word("DO", "DOING")
        return self.forms()

    def typed(self) -> Datum:
        """Return a variable; the type after it is left out."""
        variable = self.next()
        if self.word("OF-TYPE"):
            self.next()
        self.word("FIXNUM", "FLOAT", "T")
        return variable

    def withs(self) -> Iterator[LoopWith]:
        more = "AND"
        while more:
            variable = self.typed()
            yield LoopWith(variable, self.next() if self.word("=") else None)
            more = self.word("AND")

    def fors(self) -> Iterator[LoopHead]:
        variable = self.typed()
        if how := self.word("IN", "ON", "ACROSS"):
            yield LoopOver(variable, how, self.next(), self.next() if self.word("BY") else None)
        elif self.word("="):
            first = self.next()
            yield LoopEquals(variable, first, self.next() if self.word("THEN") else first)
        elif self.peek() in {*_FROM, *_TO, "BY"}:
            yield self.numbers(variable)
        else:
            after = self.left[0] if self.left else self.form
            raise LispError(
                after.place,
                f"{brief(after)} after for {brief(variable)} is not known",
                "write in, on, across, =, from, to, below, downto or by",
            )
        if self.word("AND"):
            for each in self.fors():
                if isinstance(each, LoopEquals):
                    raise LispError(
                        each.variable.place,
                        f"{brief(each.variable)} would be set at once with the one before and",
                        "write for instead of and, which sets it after that one",
                    )
                yield each

    def numbers(self, variable: Datum) -> LoopNumbers:
        found: dict[str, Datum] = {}
        down, inclusive = False, True
        while word := self.word(*_FROM, *_TO, "BY"):
            if word in _FROM:
                found["start"], down = self.next(), down or _FROM[word]
            elif word in _TO:
                found["end"], inclusive = self.next(), _TO[word]
                down = down or word in ("DOWNTO", "ABOVE")
            else:
                found["by"] = self.next()
        start, end, by = (found.get(each) for each in ("start", "end", "by"))
        return LoopNumbers(variable, start, end, by, down, inclusive)

    def clause(self) -> LoopBody:
        if word := self.word(*_TESTS):
            return LoopTest(word, self.next())
        if word := self.word(*_GATHERED):
            form, into = self.next(), self.next() if self.word("INTO") else None
            return LoopGather(_GATHERED[word], form, into if isinstance(into, Symbol) else None)
        if self.word("DO", "DOING"):
            return LoopDo(self.forms())
        if self.word("RETURN"):
            return LoopReturn(self.next())
        if word := self.word("WHEN", "IF", "UNLESS"):
            return self.choice(word)
        datum = self.next()
        raise LispError(datum.place, f"{brief(datum)} is not a clause of loop", f"write {_CLAUSES}")

    def choice(self, word: str) -> LoopChoice:
        test = self.next()
        then = self.joined()
        otherwise = self.joined() if self.word("ELSE") else ()
        self.word("END")
        return LoopChoice(test, word == "UNLESS", then, otherwise)

    def joined(self) -> tuple[LoopBody, ...]:
        found = [self.chosen()]
        while self.word("AND"):
            found.append(self.chosen())
        return tuple(found)

    def chosen(self) -> LoopBody:
        """Return a clause that may depend on a test."""
        before = self.left[0] if self.left else self.form
        found = self.clause()
        if isinstance(found, LoopTest):
            raise LispError(
                before.place,
                f"{brief(before)} cannot depend on when, if or unless",
                "write do (return ...) there",
            )
        return found
