"""Every error and warning of the library.

Each message is one sentence: what is wrong, where (file, key, both sides) and what to do. Text of
a file in it is escaped here; a message has more than one line only if it shows a plan or report.
"""

from __future__ import annotations

import copyreg
from typing import Any

from caten_sd.errors.printable import LONGEST, lines, one_line


class CatenError(Exception):
    """The root of the library's errors: ``except CatenError`` catches all and only them."""

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(message))

    def __reduce__(self) -> tuple[Any, ...]:
        # By default a process that receives the error calls its class with the whole message.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class DispatchError(CatenError):
    """A generic function cannot choose a method, or refuses one."""


class NoApplicableMethodError(DispatchError, TypeError):
    """No method of a generic function accepts arguments of these classes."""


class AmbiguousMethodError(DispatchError, TypeError):
    """Two methods apply, and neither is more specific."""


class DuplicateMethodError(DispatchError, ValueError):
    """A second method was registered for a signature that already has one."""


class NoNextMethodError(DispatchError, TypeError):
    """``call_next_method`` was called in the last method."""


class StateDictError(CatenError):
    """A state dict cannot be built: two paths give one key, or a model holds itself."""


class LoadError(CatenError):
    """A load was refused before it changed anything; ``plan`` lists every slot and key."""

    def __init__(self, message: str, plan: Any = None) -> None:
        super().__init__(message)
        if plan is not None:
            self.args = (lines(message),)
        self.plan = plan


class OptionError(CatenError, TypeError):
    """An option of a verb has a value of a kind that it does not take."""


class ModelError(CatenError, ValueError):
    """A model cannot have these sizes, take these inputs or be on this device."""


class LayoutError(CatenError):
    """A layout is unknown, ambiguous, applied twice, or does not match these keys."""


class FormatError(CatenError):
    """A file cannot be read or written: ``source`` names it, ``problem`` says what is wrong.

    ``remedy`` says what to do.

    >>> str(FormatError("w.npz", "it is an HTML page", "download it again"))
    'w.npz: it is an HTML page; download it again'
    """

    def __init__(self, source: object, problem: str, remedy: str = "") -> None:
        # A long part is cut by itself, so that the others stay whole.
        where, what = one_line(source, LONGEST // 8), one_line(problem, LONGEST // 3)
        then = f"; {one_line(remedy, LONGEST // 2)}" if remedy else ""
        super().__init__(f"{where}: {what}{then}")
        self.source, self.problem, self.remedy = str(source), problem, remedy


class LispError(CatenError):
    """Lisp text cannot be read or has no meaning here; ``place`` is its file, line and column.

    ``problem`` says what is wrong, and ``remedy`` what to do.

    >>> str(LispError("net.lisp:3:5", "this ) closes nothing", "remove it"))
    'net.lisp:3:5: this ) closes nothing; remove it'
    """

    def __init__(self, place: object, problem: str, remedy: str) -> None:
        # A long part is cut by itself, so that the others stay whole.
        where, what = one_line(place, LONGEST // 8), one_line(problem, LONGEST // 3)
        super().__init__(f"{where}: {what}; {one_line(remedy, LONGEST // 2)}")
        self.place, self.problem, self.remedy = str(place), problem, remedy


class ContractError(CatenError, AssertionError):
    """A format does not keep a clause of the contract in ``caten_sd.testing``.

    ``format`` and ``clause`` are their names, ``sentence`` says what is promised and ``problem``
    what happens instead.
    """

    def __init__(self, format: str, clause: str, sentence: str, problem: str) -> None:
        what = one_line(problem, LONGEST // 2)
        super().__init__(
            f"the format {format} does not keep the clause {clause!r} ({sentence}): {what}"
        )
        self.format, self.clause = format, clause
        self.sentence, self.problem = sentence, problem


class LoadWarning(UserWarning):
    """What a load did not do, once per kind; ``report`` lists every slot and key."""

    def __init__(self, message: str, report: Any = None) -> None:
        super().__init__(lines(message))
        self.report = report


class LayoutWarning(UserWarning):
    """What did not match a layout that was applied; ``findings`` lists every key and row."""

    def __init__(self, message: str, findings: Any = None) -> None:
        super().__init__(lines(message))
        self.findings = findings


class LispWarning(UserWarning):
    """What a Lisp model has that Caten lacks: state that Caten drops without a word."""

    def __init__(self, message: str) -> None:
        super().__init__(lines(message))
