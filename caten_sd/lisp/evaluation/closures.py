"""Functions that a file defines, which Python can call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs

from caten_sd.errors import ModelError
from caten_sd.lisp.definitions.lambda_lists import LambdaList
from caten_sd.lisp.evaluation.evaluator import Evaluator
from caten_sd.lisp.evaluation.scopes import Scope, in_block
from caten_sd.lisp.syntax.datum import Datum


@attrs.define(eq=False, repr=False)
class Closure:
    """A function of Lisp: arguments, a body, and the scope that it was made in."""

    evaluator: Evaluator
    name: str
    arguments: LambdaList
    body: tuple[Datum, ...]
    scope: Scope

    def __call__(self, *values: Any) -> Any:
        """Bind the arguments and evaluate the body."""
        with self.evaluator.entered(self.arguments.place):
            scope = self.evaluator.bound(self.arguments, values, self.scope, self.name)
            return in_block(self.name, scope, partial(self.evaluator.body, self.body))

    def __repr__(self) -> str:
        return f"#'{self.name.lower()}"

    def __reduce_ex__(self, protocol: object) -> str:
        raise ModelError(
            f"the function {self.name.lower()} of Lisp ({self.arguments.place}) cannot be pickled; "
            f"save the state dict of the model, or port the file to Python"
        )

    def __deepcopy__(self, memo: object) -> Closure:
        return self


def defined_functions(evaluator: Evaluator) -> Callable[[str], Closure | None]:
    """Return what finds the functions that a file defines by ``defun``."""
    made: dict[str, Closure] = {}

    def find(name: str) -> Closure | None:
        definition = evaluator.definitions.functions.get(name)
        if definition is not None and name not in made:
            made[name] = Closure(evaluator, name, definition.arguments, definition.body, Scope())
        return made.get(name)

    return find
