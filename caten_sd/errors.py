"""Every error and warning of the library.

Each message is one sentence: what is wrong, where (file, key, both sides) and what to do.
"""

from __future__ import annotations

from typing import Any


class CatenError(Exception):
    """The root of the library's errors: ``except CatenError`` catches all and only them."""


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
        self.plan = plan


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
        super().__init__(f"{source}: {problem}" + (f"; {remedy}" if remedy else ""))
        self.source, self.problem, self.remedy = str(source), problem, remedy


class LoadWarning(UserWarning):
    """What a load did not do, once per kind; ``report`` lists every slot and key."""

    def __init__(self, message: str, report: Any = None) -> None:
        super().__init__(message)
        self.report = report


class LayoutWarning(UserWarning):
    """What did not match a layout that was applied; ``findings`` lists every key and row."""

    def __init__(self, message: str, findings: Any = None) -> None:
        super().__init__(message)
        self.findings = findings
