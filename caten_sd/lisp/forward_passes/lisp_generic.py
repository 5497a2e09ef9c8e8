"""Generic functions of a file: methods chosen by the classes of their arguments, as in CLOS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.evaluation.evaluator import Evaluator
from caten_sd.lisp.evaluation.scopes import Scope
from caten_sd.lisp.forward_passes.lisp_method import QUALIFIERS, LispMethod
from caten_sd.lisp.functions.lisp_values import Function, text_of
from caten_sd.lisp.functions.predicates import eql
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol, brief

ClassOf = Callable[[str], type | None]

_KINDS: dict[str, tuple[type, ...]] = {
    "LIST": (list, type(None)),
    "CONS": (list,),
    "NULL": (type(None),),
    "SYMBOL": (Symbol, type(None)),
    "KEYWORD": (Symbol,),
    "STRING": (str,),
    "INTEGER": (int,),
    "FIXNUM": (int,),
    "RATIONAL": (int, Fraction),
    "FLOAT": (float,),
    "REAL": (int, Fraction, float),
    "NUMBER": (int, Fraction, float),
    "FUNCTION": (Callable,),  # type: ignore[dict-item]
}
_ANY = ("T", "MODEL", "MODULE", "FUNC", "STANDARD-OBJECT")
_EXACT, _FARTHEST = -1, 1_000  # how far a value is from (eql value), and from t


@attrs.frozen(eq=False)
class LispGeneric:
    """The methods of one name; ``class_of`` returns the class that a name of the file means."""

    evaluator: Evaluator
    name: str
    methods: tuple[LispMethod, ...]
    class_of: ClassOf

    def __deepcopy__(self, memo: object) -> LispGeneric:
        return self  # a model that is copied stays a model of the same file

    def __call__(self, *arguments: Any) -> Any:
        """Run the methods for these arguments in the order of CLOS."""
        chain = self.chain(arguments)
        if chain is not None:
            return chain(*arguments)
        shown = " ".join(map(text_of, arguments))
        known = ", ".join(map(str, self.methods))
        raise LispError(
            self.evaluator.place,
            f"({self.name.lower()} {shown}) has no method for these arguments",
            f"pass arguments of {known}, or define a method",
        )

    def chain(self, arguments: Sequence[Any]) -> Function | None:
        """Return what runs the methods for these arguments, or None if there is no main one."""
        found: dict[str, list[tuple[list[int], LispMethod]]] = {each: [] for each in QUALIFIERS}
        for method in self.methods:
            distances = self._distances(method, arguments)
            if distances is not None:
                found[method.qualifier].append((distances, method))
        main, around, before, after = (
            [method for _, method in sorted(found[each], key=lambda pair: pair[0])]
            for each in QUALIFIERS
        )
        if not main:
            return None

        def core(*values: Any) -> Any:
            for method in before:
                method.run(self.evaluator, values, {})
            result = self._chained(main, None)(*values)
            for method in reversed(after):
                method.run(self.evaluator, values, {})
            return result

        return self._chained(around, core)

    def _chained(self, methods: Sequence[LispMethod], last: Function | None) -> Function:
        """Return what runs the first method, whose ``call-next-method`` runs the others."""
        if not methods:
            return last or self._no_next

        def run(*values: Any) -> Any:
            following = self._chained(methods[1:], last)
            has_next = len(methods) > 1 or last is not None or None
            functions = {
                "CALL-NEXT-METHOD": lambda *given: following(*(given or values)),
                "NEXT-METHOD-P": lambda: has_next,
            }
            return methods[0].run(self.evaluator, values, functions)

        return run

    def _no_next(self, *values: Any) -> Any:
        raise LispError(
            self.evaluator.place,
            f"no further method of {self.name.lower()} follows",
            "remove call-next-method, or define a method for a base class",
        )

    def _distances(self, method: LispMethod, arguments: Sequence[Any]) -> list[int] | None:
        """Return how far each argument is from what the method is for; None if it is for others."""
        if len(arguments) < len(method.specializers):
            return None
        distances = []
        for specializer, value in zip(method.specializers, arguments, strict=False):
            distance = self._distance(specializer, value)
            if distance is None:
                return None
            distances.append(distance)
        return distances

    def _distance(self, specializer: Datum | None, value: Any) -> int | None:
        if specializer is None:
            return _FARTHEST
        if isinstance(specializer, Form) and specializer.head == "EQL" and specializer.rest:
            wanted = self.evaluator.value(specializer.rest[0], Scope())
            return _EXACT if eql(wanted, value) else None
        if isinstance(specializer, Symbol):
            return self._distance_of_class(specializer, value)
        raise LispError(
            specializer.place,
            f"{brief(specializer)} is not a class",
            "write the name of a class or (eql value)",
        )

    def _distance_of_class(self, name: Symbol, value: Any) -> int | None:
        if name.name in _ANY:
            return _FARTHEST
        if name.name == "TENSOR":
            return 0 if hasattr(value, "shape") and hasattr(value, "dtype") else None
        if name.name in _KINDS:
            kinds = _KINDS[name.name]
            return len(kinds) if isinstance(value, kinds) and value is not True else None
        found = self.class_of(name.name)
        if found is None:
            raise self.evaluator.unknown(name, "class", (*_KINDS, "TENSOR"))
        return type(value).__mro__.index(found) if isinstance(value, found) else None
