"""Read a Lisp file: its definitions, and its models as classes."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs

from caten_sd.errors import LispError
from caten_sd.errors.printable import one_line
from caten_sd.lisp.definitions.definition import ClassDefinition, ClassLike
from caten_sd.lisp.definitions.source_text import LispSource, lisp_source
from caten_sd.lisp.program import LispProgram
from caten_sd.lisp.syntax.datum import Datum, Form, SourcePlace
from caten_sd.lisp.syntax.reader import read_data
from caten_sd.state.keys import fold
from caten_sd.state.quoting import shell_word
from caten_sd.wording import counted, first_few


@attrs.define(eq=False, init=False, repr=False)
class LispFile:
    """The definitions of a Lisp file, in order; `model` gives a model as a class.

    >>> from caten_sd import get_state_dict
    >>> net = read_lisp("(defmodel (Net (dim)) ((fc-1 (Linear dim (* 2 dim) :bias nil))))")
    >>> model = net.model("Net")(3)
    >>> {key: tuple(leaf.shape) for key, leaf in get_state_dict(model).items()}
    {'fc_1.weight': (6, 3)}
    """

    _source: LispSource
    _program: LispProgram

    def __init__(self, path_or_text: str | os.PathLike[str]) -> None:
        self._source = lisp_source(path_or_text)
        self._program = LispProgram(self._source)

    def __repr__(self) -> str:
        return f"LispFile({self.source!r}: {first_few(self.models, 5) or 'no model'})"

    @property
    def source(self) -> str:
        """The path of the file, or "text"."""
        return self._source.name

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models that the file defines, as it writes them."""
        return tuple(each.name.spelling for each in self._source.by_kind.models.values())

    @property
    def note(self) -> str:
        """How many forms were skipped, by what they begin with; "" if none was."""
        if not self._source.skipped:
            return ""
        heads = Counter(each.head or "a name" for each in self._source.skipped)
        return (
            f"{counted(len(self._source.skipped), 'form')} of {self.source} "
            f"{'defines' if len(self._source.skipped) == 1 else 'define'} no model: "
            f"{first_few([f'{count} {head}' for head, count in heads.most_common()], 5)}"
        )

    def model(self, name: str) -> Any:
        """Return a model of the file as a class with the same arguments, slots and keys.

        A key argument of Lisp is keyword-only here, and a hyphen in a name is an underscore.
        """
        definition = self._definition(name)
        return self._program.class_named(definition.name.name)

    def build(self, call: str) -> Any:
        """Return the model that a call in Lisp builds, as ``(Transformer 32 2 2 1e-5 32)``.

        A name alone is a call without arguments, and no text the one model of the file.
        """
        return self._program.built(self._form(call))

    def _form(self, call: str) -> Datum:
        place = SourcePlace(f"{self.source}, call", 1, 1)
        if not call.lstrip().startswith("("):
            definition = self._definition(call) if call.strip() else self._only_model()
            self._refuse_without_arguments(definition)
            return Form((definition.name,), None, place)
        data = read_data(call, place.file)
        if len(data) != 1:
            raise LispError(
                place,
                f"{one_line(call, 80)} is {counted(len(data), 'form')}",
                "write one call in parentheses",
            )
        return data[0]

    def _refuse_without_arguments(self, definition: ClassLike) -> None:
        """Refuse a name alone of a model that needs arguments, and say how they are passed."""
        required = _required(definition)
        if isinstance(definition, ClassDefinition) or not required:
            return
        call = f"{self.source}:{_call_of(definition, required)}"
        raise LispError(
            definition.place,
            f"{definition.name} takes the arguments {definition.arguments}, and none is given",
            f"write a call with their values, as {shell_word(call)}",
        )

    def _definition(self, name: str) -> ClassLike:
        """Return the definition of a model; LispError, with the names of all, if there is none."""
        models, plain = self._source.by_kind.models, name.strip().strip("|")
        found = models.get(fold(plain)) or models.get(plain)
        if found is not None:
            return found
        skipped = self._source.by_kind.skipped.get(fold(name))
        if skipped is not None:
            raise LispError(
                skipped.place, f"{name} is not a model ({skipped.why})", "name one of the models"
            )
        near = difflib.get_close_matches(fold(name), list(models), 1)
        meant = f"did you mean {models[near[0]].name}? " if near else ""
        known = first_few(self.models, 10) or "no model"
        raise LispError(
            self.source,
            f"no model is called {one_line(name, 80)!r}",
            f"{self._call_in_lisp(name) or meant}the file defines {known}",
        )

    def _call_in_lisp(self, call: str) -> str:
        """Return how to write a call that has the parentheses of Python, or none; "" for a name."""
        name, *rest = re.split(r"[\s(]", call.strip(), maxsplit=1)
        definition = self._source.by_kind.models.get(fold(name))
        if definition is None or not rest:
            return ""
        values = rest[0].strip("() ").replace(",", " ").split()
        if not values or not all(map(_NUMBER.fullmatch, values)):
            values = _required(definition)
        return f"write {_call_of(definition, values)}, as Lisp does; "

    def _only_model(self) -> ClassLike:
        models = list(self._source.by_kind.models.values())
        if not models:
            raise LispError(self.source, "the file defines no model", "name another file")
        if len(models) > 1:
            calls = [shell_word(f"{self.source}:{_call_of(each, ['...'])}") for each in models]
            raise LispError(
                self.source,
                f"the file defines {counted(len(models), 'model')}",
                f"name a call of one, as {first_few(calls, 5)}",
            )
        return models[0]


_NUMBER = re.compile(r"[-+]?[\d.]+([eE][-+]?\d+)?")


def _required(definition: ClassLike) -> list[str]:
    """Return the arguments that a call of a model cannot leave out."""
    if isinstance(definition, ClassDefinition):
        return []
    return [str(each) for each in definition.arguments.of_kind("required")]


def _call_of(definition: ClassLike, values: Sequence[str]) -> str:
    """Return a call in Lisp; a name whose letters Lisp would not read as they are has bars."""
    name = definition.name.name
    if fold(definition.name.spelling) == name and re.fullmatch(r"[^\s()\"'`,;|\\:#]+", name):
        return f"({' '.join([definition.name.spelling, *values])})"
    barred = name.replace("\\", "\\\\").replace("|", "\\|")
    return f"({' '.join([f'|{barred}|', *values])})"


def read_lisp(path_or_text: str | os.PathLike[str]) -> LispFile:
    """Read a Lisp file, or a text of Lisp; nothing in it is evaluated until a model is built.

    A text begins with a parenthesis or a comment, or has several lines.
    """
    return LispFile(path_or_text)
