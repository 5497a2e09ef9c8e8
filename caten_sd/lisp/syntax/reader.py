"""Read Lisp text into data, within bounds; nothing is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.syntax.datum import KEYWORD, Character, Datum, Form, Literal, SourcePlace, Symbol
from caten_sd.lisp.syntax.numerals import number
from caten_sd.lisp.syntax.tokens import Token, tokens
from caten_sd.state.keys import fold

MOST_CHARACTERS = 2_000_000
MOST_DATA = 150_000
DEEPEST = 150  # lists in lists; the deepest one in Caten has 30

_PREFIXES = {
    "'": "QUOTE",
    "`": "QUASIQUOTE",
    ",": "UNQUOTE",
    ",@": "UNQUOTE-SPLICING",
    ",.": "UNQUOTE-SPLICING",
    "#'": "FUNCTION",
    "#": "VECTOR-LITERAL",
}
_FEATURES = frozenset({"SBCL", "COMMON-LISP", "ANSI-CL"})  # what Caten runs on
_BASES = {"x": 16, "o": 8, "b": 2}
_CHARACTERS = {
    "space": " ",
    "newline": "\n",
    "linefeed": "\n",
    "tab": "\t",
    "return": "\r",
    "page": "\f",
    "backspace": "\b",
    "rubout": "\x7f",
    "nul": "\0",
    "null": "\0",
}


def read_data(text: str, file: str = "text") -> tuple[Datum, ...]:
    """Return the data of a text, one after another; LispError if it is not Lisp.

    >>> read_data("(Linear 3 ln-1) ; a comment")[0].items[2].name
    'LN-1'
    """
    if len(text) > MOST_CHARACTERS:
        raise LispError(
            SourcePlace(file, 1, 1),
            f"the text has {len(text):,} characters, and at most {MOST_CHARACTERS:,} are read",
            "split the file",
        )
    return tuple(_ListReader(tokens(text, file)).top_level())


@attrs.define
class _Open:
    """A list whose end was not read yet, or a sign that waits for one datum or two."""

    place: SourcePlace
    wanted: int = 0  # how many data a sign waits for; 0 for a list
    closed: Callable[[_Open], Iterator[Datum]] = lambda opened: opened.as_list()
    items: list[Datum] = attrs.field(factory=list)
    dot: int | None = None  # how many items precede a dot
    sign: str = "("

    def as_list(self) -> Iterator[Datum]:
        if self.dot is None:
            yield Form(tuple(self.items), None, self.place) if self.items else _nil(self.place)
        elif self.dot and len(self.items) == self.dot + 1:
            yield Form(tuple(self.items[:-1]), self.items[-1], self.place)
        else:
            raise LispError(
                self.place, "the dot of this list is not before its last item", "remove the dot"
            )


@attrs.define
class _ListReader:
    _tokens: Iterator[Token]
    _open: list[_Open] = attrs.field(factory=list)
    _count: int = 0

    def top_level(self) -> Iterator[Datum]:
        for token in self._tokens:
            yield from self._take(token)
        for opened in self._open[:1]:
            inner = self._open[-1]
            deeper = "" if inner is opened else f", and the innermost at line {inner.place.line}"
            raise LispError(
                opened.place,
                f"the {_named(opened)} that begins here is never closed{deeper}",
                "close it, or the one before it",
            )

    def _take(self, token: Token) -> Iterator[Datum]:
        """Read a token; yield the datum that it ends at the top level."""
        if token.text in _PREFIXES and token.kind == "sign":
            self._push(_Open(token.place, 1, _prefixed, sign=token.text))
        elif token.text in ("#+", "#-") and token.kind == "sign":
            self._push(_Open(token.place, 2, _conditional, sign=token.text))
        elif token.text == "(" and token.kind == "sign":
            self._push(_Open(token.place))
        elif token.text == ")" and token.kind == "sign":
            yield from self._close(token)
        elif token == ("name", ".", token.place):
            self._dot(token)
        else:
            yield from self._add(_atom(token))

    def _push(self, opened: _Open) -> None:
        if len(self._open) >= DEEPEST:
            raise LispError(
                opened.place,
                f"lists lie more than {DEEPEST} deep in each other",
                "this is not a file of models, or a list is not closed",
            )
        self._open.append(opened)

    def _close(self, token: Token) -> Iterator[Datum]:
        if not self._open:
            raise LispError(token.place, "this ) closes nothing", "remove it, or add the ( it ends")
        opened = self._open.pop()
        if opened.wanted:
            raise LispError(opened.place, f"nothing follows the {opened.sign}", "remove it")
        for datum in opened.closed(opened):
            yield from self._add(datum)

    def _dot(self, token: Token) -> None:
        opened = self._open[-1] if self._open else None
        if opened is None or opened.wanted or opened.dot is not None:
            raise LispError(
                token.place, "this dot is not before the last item of a list", "remove it"
            )
        opened.dot = len(opened.items)

    def _add(self, datum: Datum) -> Iterator[Datum]:
        """Give a datum to what is open, which it may end; yield it at the top level."""
        self._count += 1
        if self._count > MOST_DATA:
            raise LispError(
                datum.place, f"the text has more than {MOST_DATA:,} names and lists", "split it"
            )
        waiting = [datum]
        while waiting:
            datum = waiting.pop()
            if not self._open:
                yield datum
                continue
            opened = self._open[-1]
            opened.items.append(datum)
            if len(opened.items) == opened.wanted:
                self._open.pop()
                waiting += opened.closed(opened)


def _named(opened: _Open) -> str:
    if opened.wanted:
        return opened.sign
    first = opened.items[0] if opened.items else None
    return f"form ({first}" if isinstance(first, Symbol) else "list"


def _prefixed(opened: _Open) -> Iterator[Datum]:
    name = _PREFIXES[opened.sign]
    yield Form((Symbol(name, name.lower(), "", opened.place), *opened.items), None, opened.place)


def _conditional(opened: _Open) -> Iterator[Datum]:
    condition, datum = opened.items
    if _holds(condition) == (opened.sign == "#+"):
        yield datum


def _holds(condition: Datum) -> bool:
    if isinstance(condition, Symbol):
        return condition.name in _FEATURES
    if isinstance(condition, Form):
        answers = [_holds(each) for each in condition.rest]
        head = condition.items[0]
        name = head.name if isinstance(head, Symbol) else ""
        if name in ("AND", "OR"):
            return all(answers) if name == "AND" else any(answers)
        if name == "NOT" and len(answers) == 1:
            return not answers[0]
    raise LispError(condition.place, "this is not a condition of #+ or #-", "name a feature")


def _atom(token: Token) -> Datum:
    kind, text, place = token
    if kind == "string":
        return Literal(_unescaped(text[1:-1]), place)
    if kind == "character":
        return Literal(_character(text[2:], place), place)
    if text == "#.":
        raise LispError(place, "#. runs code while the file is read", "write its value instead")
    found = _number(text, place)
    if found is not None:
        return Literal(found, place)
    if not text.strip("."):
        raise LispError(place, f"{text} is not a name", "remove it, or write it between bars")
    if text[0] == "#" and text[1:2] != ":":
        raise LispError(place, f"{text[:2]} is not read in {text[:60]}", "write it without the #")
    return _symbol(text, place)


def _character(name: str, place: SourcePlace) -> Character:
    found = name if len(name) == 1 else _CHARACTERS.get(name.lower())
    if found is None:
        raise LispError(place, f"no character is called {name}", "write #\\ and the character")
    return Character(found)


def _number(text: str, place: SourcePlace) -> int | Fraction | float | None:
    if text[0] == "#" and text[1:2].lower() in _BASES:
        return _in_base(text, _BASES[text[1].lower()], place)
    return number(text, place) if text[0] in "+-.0123456789" else None


def _in_base(text: str, base: int, place: SourcePlace) -> int:
    try:
        return int(text[2:], base)
    except ValueError:
        raise LispError(
            place, f"{text} is not a number in base {base}", "write it in base 10"
        ) from None


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    letters = iter(text)
    return "".join(next(letters) if letter == "\\" else letter for letter in letters)


def _nil(place: SourcePlace) -> Symbol:
    return Symbol("NIL", "()", "", place)


def _symbol(text: str, place: SourcePlace) -> Symbol:
    package, name, spelling, colons = "", "", "", 0
    for part, kept in _parts(text):
        if kept or ":" not in part:
            name, spelling = name + (part if kept else fold(part)), spelling + part
            continue
        before, _, after = part.partition(":")
        package, colons = spelling + before, colons + 1
        name, spelling = fold(after.removeprefix(":")), after.removeprefix(":")
        if ":" in name or colons > 1:
            raise LispError(place, f"{text} has more colons than a package needs", "remove them")
    if colons and fold(package) in ("", KEYWORD):
        package = KEYWORD
    if package == "#":  # of a name that no package has
        package = ""
    if colons and not name and "|" not in text:
        raise LispError(place, f"no name follows the colon of {text}", "write one")
    return Symbol(name, spelling, package, place)


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a name, and whether the letters of each are kept as they are."""
    if "|" not in text and "\\" not in text:
        yield text, False
        return
    letters, plain, bars = iter(text), "", False
    for letter in letters:
        if letter == "|":
            bars = not bars
        elif letter == "\\" or bars:
            yield plain, False
            yield (next(letters) if letter == "\\" else letter), True
            plain = ""
        else:
            plain += letter
    yield plain, False
