"""The state of one pickle's interpretation, which every opcode reads and changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from caten_sd.encodings.pickle.arrays import NUMPY
from caten_sd.encodings.pickle.inert_values import Instance, Ordered, Reference, brief
from caten_sd.encodings.pickle.input import PickleInput
from caten_sd.encodings.pickle.known_object import KnownObject, ObjectForm
from caten_sd.encodings.pickle.plain import PLAIN, RENAMED
from caten_sd.state.header_memory import (
    CONTAINER,
    ENTRY,
    LEAF,
    SMALL_OBJECT,
    TUPLE,
    HeaderMemory,
)
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Opaque
from caten_sd.state.source import Source

_KNOWN = {**PLAIN, **NUMPY}
COUNTED_AGAIN = {LazyTensor, Instance}  # each place that has one is a leaf of the tree
_ABSENT = object()
PASSED_OVER = object()  # in the memo, for a value that was not made since nothing refers to it
_COPIED = 2  # times what a copy takes: no walk adds to it, and the modules of a reader take 10 MB
_EMPTY = 120  # bytes that an OrderedDict takes which no container gets


class PassedOverError(Exception):
    """A pickle refers to a value that was passed over."""


class Machine(PickleInput):
    """A pickle's stack, the outer stacks below its marks, and its memo.

    ``passes_over`` says that the attributes of known objects may be read in one step.
    """

    __slots__ = (
        "_allowed",
        "_persistent_load",
        "_references",
        "forms",
        "known_values",
        "memo",
        "opaque",
        "outer",
        "passes_over",
        "source_name",
        "sparse_memo",
        "stack",
        "unlearned",
        "value",
    )

    def __init__(
        self,
        source: Source,
        start: int,
        persistent_load: Callable[[Any], Any] | None,
        allowed: Mapping[tuple[str, str], Any],
        memory: HeaderMemory | None,
        *,
        passes_over: bool = True,
    ) -> None:
        super().__init__(source, start, memory)
        self.source_name = source.name
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: list[Any] = []  # by index; 8 bytes an entry, where a dict takes 100
        self.sparse_memo: dict[int, Any] = {}  # of indices that do not follow each other
        self.value: Any = None
        self.passes_over = passes_over
        self.forms: dict[type[KnownObject], ObjectForm] = {}
        self.unlearned: Counter[type[KnownObject]] = Counter()  # objects of no known form
        self.known_values: dict[bytes, tuple[Any, tuple[Any, ...]]] = {}  # by their opcodes
        self.opaque: Counter[str] = Counter()
        self._persistent_load, self._allowed = persistent_load, allowed
        self._references: dict[tuple[str, str], Any] = {}

    def remember(self, index: int) -> None:
        """Put the top of the stack into the memo."""
        memo, value = self.memo, self.stack[-1]
        if index == 1 and not memo:  # old picklers count from 1
            memo.append(_ABSENT)
        if index < len(memo):
            memo[index] = value
            self.passes_over = False  # the forms have indices of the memo
        elif index == len(memo):
            memo.append(value)
            self.sparse_memo.pop(index, None)
        else:
            self.memory.take(CONTAINER)
            self.sparse_memo[index] = value

    def remember_next(self) -> None:
        """Put the top of the stack into the memo, after all that is there."""
        memo = self.memo
        if memo and memo[0] is not _ABSENT and not self.sparse_memo:
            memo.append(self.stack[-1])
        else:
            self.remember(self._memo_size())

    @property
    def may_pass_over(self) -> bool:
        """Whether values may be added to the memo that were not made: its list is all of it."""
        is_all = self.memo and self.memo[0] is not _ABSENT and not self.sparse_memo
        return self.passes_over and bool(is_all)

    def _memo_size(self) -> int:
        """Return how many entries the memo has."""
        absent = bool(self.memo) and self.memo[0] is _ABSENT
        return len(self.memo) - absent + len(self.sparse_memo)

    def recall(self, index: int) -> None:
        """Push what the memo has at an index; KeyError if it has nothing.

        What is a leaf of the tree gets a place there each time that it is met.
        """
        value = self.memo[index] if index < len(self.memo) else self.sparse_memo[index]
        if value is _ABSENT:
            raise KeyError(index)
        if value is PASSED_OVER:
            raise PassedOverError
        if type(value) in COUNTED_AGAIN:
            self.memory.take(LEAF)
        self.stack.append(value)

    def duplicate(self) -> None:
        """Push the top of the stack once more, as from the memo."""
        if type(self.stack[-1]) in COUNTED_AGAIN:
            self.memory.take(LEAF)
        self.stack.append(self.stack[-1])

    def reference(self, module: str, name: str) -> Any:
        """Return one Reference per name, or the value that is allowed for it."""
        module = RENAMED.get(module, module)
        found = self._references.get((module, name))
        if found is None:
            found = self._allowed.get((module, name)) or _KNOWN.get((module, name))
            if found is None or callable(found):
                self.memory.take(2 * CONTAINER)  # with the texts of its name
                found = Reference(f"{module}.{name}", self.source_name, found)
            self._references[module, name] = found
        return found

    def imports(self) -> dict[str, bool]:
        """Return every name that the pickle refers to, and whether it only makes plain data."""
        return {
            f"{module}.{name}": type(found) is not Reference or found.is_plain_data
            for (module, name), found in self._references.items()
        }

    def call(self, function: Any, args: Any, *, bare: bool = False) -> Any:
        """Return our own function's result or an inert Instance; no code of the file's is run."""
        if type(function) is Instance:
            made = function.call(args)
        elif type(function) is Reference:
            made = function.call(args, bare=bare)
        else:
            raise ValueError(f"{brief(function)} is called, which is not the name of a function")
        if type(made) is Instance:
            self.opaque[made.name] += 1
            self.memory.take(CONTAINER)
        elif not (args and made is args[0]):
            self.memory.take(_memory_of(made))
        elif type(made) is not tuple:  # a torch.Size is its tuple, which was counted before
            self.memory.take(ENTRY)  # a parameter is its tensor, in one place more
        return made

    def persistent(self, identity: Any) -> Any:
        """Return what the file stores outside the pickle under this identity."""
        if self._persistent_load is None:
            raise ValueError("it refers to data outside it, and this file stores none")
        return self._persistent_load(identity)


def _memory_of(made: Any) -> int:
    """Return what the result of a call takes; most that are empty are arguments of another."""
    if isinstance(made, Ordered) and not made:
        return _EMPTY
    if isinstance(made, (list, tuple, dict, set, frozenset)):
        each = _COPIED * 8 if isinstance(made, (list, tuple)) else ENTRY
        return (TUPLE if type(made) is tuple else CONTAINER) + each * len(made)
    if isinstance(made, (bytes, bytearray)):
        return _COPIED * len(made)
    if type(made) is LazyTensor:
        return LEAF
    if isinstance(made, KnownObject):
        return SMALL_OBJECT
    return CONTAINER if isinstance(made, Opaque) else 0
