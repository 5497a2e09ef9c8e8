"""The state of one pickle's reading, which every opcode is handed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from caten_sd.encodings.pickle.arrays import NUMPY
from caten_sd.encodings.pickle.inert_values import Instance, Reference, brief
from caten_sd.encodings.pickle.plain import PLAIN, RENAMED

_KNOWN = {**PLAIN, **NUMPY}


class Machine:
    """The state of one pickle's reading: a stack, the stacks below its marks, and the memo."""

    # fmt: off
    __slots__ = ("_allowed", "_persistent_load", "_references", "below", "data", "end", "memo",
                 "opaque", "sets", "source_name", "stack", "value")
    # fmt: on

    def __init__(
        self,
        data: bytes | memoryview,
        source_name: str,
        persistent_load: Callable[[Any], Any] | None,
        allowed: Mapping[tuple[str, str], Any],
    ) -> None:
        self.data, self.end, self.source_name = data, len(data), source_name
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.sets = 0
        self.value: Any = None
        self.opaque: Counter[str] = Counter()
        self._persistent_load, self._allowed = persistent_load, allowed
        self._references: dict[tuple[str, str], Any] = {}

    def line(self, at: int) -> bytes:
        """Return the bytes up to the next newline."""
        size = 64
        while True:
            part = bytes(self.data[at : at + size])
            found = part.find(b"\n")
            if found >= 0:
                return part[:found]
            if at + size >= self.end:
                raise ValueError("a line does not end")
            size *= 8

    def reference(self, module: str, name: str) -> Any:
        """Return what a global stands for: one Reference per name, or a value of ours."""
        module = RENAMED.get(module, module)
        found = self._references.get((module, name))
        if found is None:
            found = self._allowed.get((module, name)) or _KNOWN.get((module, name))
            if found is None or callable(found):
                found = Reference(f"{module}.{name}", self.source_name, found)
            self._references[module, name] = found
        return found

    def call(self, function: Any, args: Any, *, bare: bool = False) -> Any:
        """Return what a call stands for; nothing of the pickle's is run."""
        if type(function) is not Reference:
            raise ValueError(f"{brief(function)} is called, which is no name of a function")
        made = function.call(args, bare=bare)
        if type(made) is Instance:
            self.opaque[made.name] += 1
        return made

    def persistent(self, identity: Any) -> Any:
        """Return what the file keeps outside the pickle under this identity."""
        if self._persistent_load is None:
            raise ValueError("it points outside itself, where this file keeps nothing")
        return self._persistent_load(identity)
