"""Pairs: lists with items at their front, pairs that end in another item, and their parts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import partial, reduce

from caten_sd.lisp.port.forms.list_forms import cut, nth
from caten_sd.lisp.port.forms.quote_forms import item_value, spliced
from caten_sd.lisp.port.python_text.expressions import Expression, comma, listed
from caten_sd.lisp.port.python_text.python_types import ANY, NONE, is_list
from caten_sd.lisp.port.translator import Translator, ValueForm
from caten_sd.lisp.syntax.datum import KEYWORD, Datum, Form, Symbol


def _list_before(translator: Translator, form: Form, want: str) -> Expression:
    """Put items before those of a list; before another value they are pairs."""
    if not form.rest:
        raise translator.untranslatable(form, "it has no argument")
    *first, last = form.rest
    items = [_item(translator, each) for each in first]
    rest = translator.value(last, "list[int]")
    if not rest.pair and (rest.type in ("", NONE, ANY) or is_list(rest.type)):
        return listed([*items, *spliced(rest)])
    return reduce(lambda reached, each: _pair(each, reached), reversed(items), rest)


def _pair(first: Expression, second: Expression) -> Expression:
    both = (first, second)
    return Expression(f"({comma(both)})", ANY, items=both, pair=True)


def _item(translator: Translator, datum: Datum) -> Expression:
    """Return an item; a symbol, which Python lacks, by its name."""
    quoted = datum.rest[0] if isinstance(datum, Form) and datum.head == "QUOTE" else None
    if isinstance(quoted, Symbol) and quoted.name not in ("NIL", "T"):
        return translator.value(Symbol(quoted.name, quoted.spelling, KEYWORD, quoted.place))
    return item_value(translator, datum)


def _part(letters: Sequence[str], translator: Translator, form: Form, want: str) -> Expression:
    """Return the first item or the rest of a list or a pair, for each letter from the last."""
    found, dropped = translator.value(form.rest[0], "list[int]"), 0
    for letter in reversed(letters):
        if found.pair and found.items is not None:
            found = found.items[letter == "D"]
        elif letter == "A":
            found, dropped = nth(found, dropped), 0
        else:
            dropped += 1
    return cut(found, str(dropped), "") if dropped else found


def _end_from(translator: Translator, form: Form, want: str) -> Expression:
    start, found = translator.value(form.rest[0], "int"), translator.value(form.rest[1])
    if found.items is not None and start.number is None:
        raise translator.untranslatable(form, "the index is not written out")
    return cut(found, start.text, "")


VALUE_FORMS: Mapping[str, ValueForm] = {
    "CONS": _list_before,
    "LIST*": _list_before,
    "NTHCDR": _end_from,
    **{
        f"C{''.join(letters)}R": partial(_part, letters)
        for count in (1, 2, 3)
        for letters in itertools.product("AD", repeat=count)
        if letters != ("A",)  # which may be that of the last ones
    },
}
