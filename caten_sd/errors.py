"""Every error and warning that comes out of the library; each message is one sentence.

A message says what is wrong, where (file, key, both sides) and what to do about it.
"""

from __future__ import annotations

from typing import Any


class CatenError(Exception):
    """Root of the library's errors: ``except CatenError`` catches all of them and nothing else."""


class DispatchError(CatenError):
    """A generic function could not choose a method."""


class NoApplicableMethodError(DispatchError, TypeError):
    """No method of a generic function takes the classes of these arguments."""


class AmbiguousMethodError(DispatchError, TypeError):
    """Two methods apply and neither is more specific."""


class DuplicateMethodError(DispatchError, ValueError):
    """A second method was registered for a signature that has one."""


class NoNextMethodError(DispatchError, TypeError):
    """``call_next_method`` was called where there is no next method."""


class StateDictError(CatenError):
    """A state dict cannot be built: two paths give one key, or a model holds itself."""


class LoadError(CatenError):
    """A load was refused before anything was touched; ``plan`` holds every slot and key."""

    def __init__(self, message: str, plan: Any = None) -> None:
        super().__init__(message)
        self.plan = plan


class ModelError(CatenError, ValueError):
    """A model was asked for sizes, inputs or a place that it cannot have."""


class LayoutError(CatenError):
    """A layout is unknown, ambiguous, applied twice, or does not fit these keys."""


class FormatError(CatenError):
    """A file is not what it should be: ``source`` names it, ``problem`` says what is wrong.

    >>> str(FormatError("w.npz", "it is an HTML page", "download it again"))
    'w.npz: it is an HTML page; download it again'
    """

    def __init__(self, source: object, problem: str, remedy: str = "") -> None:
        super().__init__(f"{source}: {problem}" + (f"; {remedy}" if remedy else ""))
        self.source, self.problem, self.remedy = str(source), problem, remedy


class LoadWarning(UserWarning):
    """What a load left undone, once per kind; ``report`` holds every slot and key."""

    def __init__(self, message: str, report: Any = None) -> None:
        super().__init__(message)
        self.report = report


class LayoutWarning(UserWarning):
    """What did not fit a layout that was applied; ``findings`` holds every key and row."""

    def __init__(self, message: str, findings: Any = None) -> None:
        super().__init__(message)
        self.findings = findings
