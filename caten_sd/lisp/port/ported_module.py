"""The Python module that a Lisp file becomes."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from caten_sd.errors import LispError
from caten_sd.errors.printable import escaped
from caten_sd.files.written_mark import marked
from caten_sd.lisp.classes.caches import places_set
from caten_sd.lisp.definitions.definition import (
    CallDefinition,
    Definition,
    FunctionDefinition,
    MethodDefinition,
    VariableDefinition,
)
from caten_sd.lisp.definitions.source_text import LispSource, lisp_source
from caten_sd.lisp.evaluation.evaluator import Evaluator
from caten_sd.lisp.port.class_text import class_block, refusing_class
from caten_sd.lisp.port.facts import Facts
from caten_sd.lisp.port.forms import (
    call_forms,
    choice_forms,
    function_values,
    let_forms,
    list_forms,
    logic_forms,
    loop_forms,
    maker_forms,
    number_forms,
    pair_forms,
    quote_forms,
    slot_access,
)
from caten_sd.lisp.port.forward_text import forward_block, refusing_forward
from caten_sd.lisp.port.function_text import function_block
from caten_sd.lisp.port.ported_classes import (
    PortedClass,
    PortedNames,
    called_model,
    ported_names,
)
from caten_sd.lisp.port.ported_imports import PortedImports
from caten_sd.lisp.port.python_order import in_order
from caten_sd.lisp.port.python_text.expressions import FALSE
from caten_sd.lisp.port.python_text.line_breaks import WIDTH
from caten_sd.lisp.port.python_text.suites import Suite
from caten_sd.lisp.port.translator import ControlForm, Translator, ValueForm
from caten_sd.lisp.port.untranslated import Untranslated, as_sentence
from caten_sd.lisp.syntax.datum import Symbol
from caten_sd.lisp.vocabulary import evaluator_of

_VALUE_FORMS: Mapping[str, ValueForm] = {
    **number_forms.VALUE_FORMS,
    **list_forms.VALUE_FORMS,
    **pair_forms.VALUE_FORMS,
    **quote_forms.VALUE_FORMS,
    **choice_forms.VALUE_FORMS,
    **logic_forms.VALUE_FORMS,
    **let_forms.VALUE_FORMS,
    **slot_access.VALUE_FORMS,
    **maker_forms.VALUE_FORMS,
    **call_forms.VALUE_FORMS,
    **function_values.VALUE_FORMS,
}
_CONTROL_FORMS: Mapping[str, ControlForm] = {
    **choice_forms.CONTROL_FORMS,
    **let_forms.CONTROL_FORMS,
    **loop_forms.CONTROL_FORMS,
}
_MOST_PASSES = 12  # types are found out pass after pass, until none changes


@attrs.frozen
class PortedModule:
    """The text of the module, and a sentence for each definition that is not translated."""

    text: str
    problems: tuple[str, ...]

    def __str__(self) -> str:
        return self.text


def port(path_or_text: str | os.PathLike[str]) -> PortedModule:
    """Write the models of a Lisp file, or of a text of Lisp, as Python that needs no Lisp.

    >>> print(port("(defmodel (Net (dim)) ((fc (Linear dim (* 2 dim)))))").text.splitlines()[-1])
            self.fc = Linear(dim, 2 * dim)
    """
    source = lisp_source(path_or_text)
    if not source.by_kind.models:
        raise LispError(source.name, "the file defines no model", "name another file")
    facts, evaluator = Facts(), evaluator_of(source.by_kind, lambda name: None)
    for _ in range(_MOST_PASSES):
        facts.changed = False
        writer = _Writer(source, facts, evaluator)
        text = writer.module()
        facts.spread()
        if not facts.changed:
            break
    return PortedModule(marked(text, "port"), tuple(writer.untranslated.problems))


@attrs.define(eq=False)
class _Writer:
    """Writes all definitions once, with what is known of their types."""

    source: LispSource
    facts: Facts
    evaluator: Evaluator
    untranslated: Untranslated = attrs.field(init=False)
    imports: PortedImports = attrs.field(factory=PortedImports)

    def __attrs_post_init__(self) -> None:
        self.untranslated = Untranslated(self.source.name, self.file)

    def module(self) -> str:
        """Return the text of the module."""
        names = ported_names(self.source.by_kind, self.evaluator)
        self.imports.use("attrs", "")
        translator = Translator(
            names,
            self.facts,
            self.imports,
            self.untranslated,
            value_forms=_VALUE_FORMS,
            control_forms=_CONTROL_FORMS,
        )
        ordered = in_order(self.source.by_kind, self.source.definitions, names.classes)
        blocks = [block for each in ordered for block in self.block(translator, each)]
        head = [*docstring(f"Models of {self.file}, as caten-sd port writes them.").split("\n"), ""]
        body = "\n".join(line for block in blocks for line in block)
        lines = [*head, *self.imports.lines(body)]
        before = ""
        for block in blocks:
            gap = 1 if _is_short(block) and _is_short([before] if before else block) else 2
            lines += ["", ""][:gap] if before or not _takes_one_blank_line(block) else [""]
            lines += block
            before = block[-1]
        return "\n".join(lines) + "\n"

    @property
    def file(self) -> str:
        """The name of the file, without its folder, on one line whatever it has."""
        return escaped(Path(self.source.name).name)

    def block(self, translator: Translator, definition: Definition) -> Iterator[list[str]]:
        """Yield the lines of a definition, or a comment that says why it is not there."""
        own = attrs.evolve(translator, suite=Suite(), caller=str(definition.place))
        try:
            self.write(own, definition)
        except (LispError, RecursionError) as error:
            own.suite = Suite()
            self.leave_out(own, definition, as_sentence(definition.place, error))
        lines = own.suite.texts()
        if lines:
            yield lines

    def write(self, own: Translator, definition: Definition) -> None:
        """Write a definition: as a constant, a class, a forward pass or a function."""
        places = places_set(self.source.by_kind)
        if isinstance(definition, VariableDefinition):
            self.variable(own, definition)
        elif (owner := _called(own.names, definition)) is not None:
            assert isinstance(definition, (CallDefinition, MethodDefinition))
            _require_only(owner, definition)
            forward_block(own, owner, definition, places, self.forward_text(owner, definition))
        elif isinstance(definition, CallDefinition):
            raise self.no_model(own.names, definition.model)
        elif isinstance(definition, (FunctionDefinition, MethodDefinition)):
            self.function(own, definition)
        elif (model := _model(own.names, definition)) is not None:
            own.suite.add(f"# from {self.file}:{definition.place.line}")
            class_block(own, model, places, self.model_text(definition))

    def model_text(self, definition: Definition) -> str:
        """Return the docstring of a class."""
        return self.described(definition, f"The model {_name(definition)} of {self.file}.")

    def forward_text(self, owner: PortedClass, definition: Definition) -> str:
        """Return the docstring of a forward pass."""
        return self.described(definition, f"Compute the output of {owner.name}.")

    def no_model(self, names: PortedNames, model: Symbol) -> LispError:
        """Return the error for a forward pass of a model that the file does not define."""
        if model.name not in self.evaluator.known:
            known = [each.definition.name.name for each in names.classes.values()]
            return self.evaluator.unknown(model, "model", known)
        problem = f"a forward pass for {model}, which the file does not define, is not translated"
        return LispError(model.place, problem, "complete the Python by hand")

    def function(self, own: Translator, definition: FunctionDefinition | MethodDefinition) -> None:
        """Write a function; a method is one if it is the only one of its name."""
        name = definition.name
        function = own.names.functions.get(name.name)
        if function is None or _is_qualified(definition):
            raise own.untranslatable(name, "it has several methods")
        text = self.described(definition, f"The function {name.spelling.lower()} of {self.file}.")
        function_block(own, function, name.name, definition.body, inner=False, documentation=text)

    def variable(self, own: Translator, definition: VariableDefinition) -> None:
        name = own.names.variables[definition.name.name]
        if definition.form is None:
            raise own.untranslatable(definition.name, "it has no value")
        found = own.value_for(name, definition.form)
        self.facts.give(name, found.type)
        if found.text == "None" and self.facts.type_of(name) == "bool":
            found = FALSE
        own.suite.add(f"{name} = {found.text}")

    def described(self, definition: Definition, otherwise: str) -> str:
        """Return a docstring: the documentation of the Lisp, or a sentence of ours."""
        text = str(getattr(definition, "documentation", "")) or otherwise
        return docstring(text)

    def leave_out(self, own: Translator, definition: Definition, error: LispError) -> None:
        """Say at its place why a definition is not translated."""
        self.untranslated.say(own.suite, error)
        refusal = self.untranslated.refusal(definition.place)
        self.miss(own.names, definition)
        if (model := _model(own.names, definition)) is not None:
            refusing_class(own, model, self.model_text(definition), refusal)
        elif (owner := _called(own.names, definition)) and definition is owner.methods[-1]:
            refusing_forward(own, owner, refusal, self.forward_text(owner, definition))

    def miss(self, names: PortedNames, definition: Definition) -> None:
        """Let what uses a function or a constant know that it is not there."""
        name = "" if isinstance(definition, CallDefinition) else definition.name.name
        if isinstance(definition, VariableDefinition):
            self.facts.miss(names.variables[name])
        elif name in names.functions and _called(names, definition) is None:
            self.facts.miss(names.functions[name].result_fact)


def _model(names: PortedNames, definition: Definition) -> PortedClass | None:
    found = (each for each in names.classes.values() if each.definition is definition)
    return next(found, None)


def _called(names: PortedNames, definition: Definition) -> PortedClass | None:
    """Return the model whose forward pass a definition is, or None if it is something else."""
    if not isinstance(definition, (CallDefinition, MethodDefinition)):
        return None
    return called_model(definition, names.classes)


def _is_qualified(definition: Definition) -> bool:
    return isinstance(definition, MethodDefinition) and bool(definition.qualifiers)


def _name(definition: Definition) -> str:
    return "" if isinstance(definition, CallDefinition) else str(definition.name)


def _require_only(owner: PortedClass, definition: CallDefinition | MethodDefinition) -> None:
    """Refuse all methods of a forward pass but the last one, and those around others."""
    if definition is not owner.methods[-1] or _is_qualified(definition):
        raise LispError(
            definition.place,
            f"a further method of call for {owner.name} is not translated to Python",
            "complete the Python by hand",
        )


def docstring(text: str) -> str:
    """Return a text as a docstring whose lines are short enough."""
    quoted = text.replace("\\", "\\\\").replace('"""', "'''")
    first, *rest = [escaped(" ".join(each.split())) for each in quoted.split("\n\n")]
    lines = textwrap.wrap(first, WIDTH - 14)
    if not rest and len(lines) == 1:
        return f'"""{lines[0]}{_end(lines[0])}"""'
    paragraphs = [lines, *(textwrap.wrap(each, WIDTH - 10) for each in rest)]
    joined = "\n\n".join("\n".join(each) for each in paragraphs)
    return f'"""{joined}\n"""'


def _end(text: str) -> str:
    return " " if text.endswith('"') else ""


def _is_short(block: list[str]) -> bool:
    """Return whether a block is a line that sets a constant."""
    return len(block) == 1 and bool(block[0]) and not block[0].startswith((" ", "#", "@", "def "))


def _takes_one_blank_line(block: list[str]) -> bool:
    """Return whether one blank line is before a block that comes first, as a formatter has it."""
    return _is_short(block) or all(line.startswith("#") for line in block)
