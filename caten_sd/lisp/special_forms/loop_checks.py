"""What a loop cannot have, though each of its clauses is known."""

from __future__ import annotations

from caten_sd.errors import LispError
from caten_sd.lisp.special_forms.loop_clauses import (
    LoopBody,
    LoopChoice,
    LoopClauses,
    LoopGather,
    LoopTest,
)

_ANSWERS = ("ALWAYS", "NEVER", "THEREIS")


def check_answers(clauses: LoopClauses) -> None:
    """Refuse two clauses that each give the value of the loop, as SBCL does."""
    tests = [each for each in clauses.body if isinstance(each, LoopTest) and each.verb in _ANSWERS]
    if tests and any(map(_gathers, clauses.body)):
        raise LispError(
            tests[0].form.place,
            f"{tests[0].verb.lower()} and another clause both give the value of this loop",
            "gather into a variable",
        )


def _gathers(clause: LoopBody) -> bool:
    """Return whether a clause gathers the value of the loop."""
    if isinstance(clause, LoopChoice):
        return any(map(_gathers, clause.then + clause.otherwise))
    return isinstance(clause, LoopGather) and clause.into is None
