"""The moves that carry out a plan: all made sure of while nothing is touched, then all made."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import attrs

from caten_sd.errors import LoadError
from caten_sd.loading.aliasing import kept_apart
from caten_sd.loading.nested_state import copied
from caten_sd.objects.place import Slot, assign, immutable, ready, refusal, replacement, slot_at
from caten_sd.objects.shards import local_shard
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.derived import Derived
from caten_sd.state.dtype import DType
from caten_sd.state.keys import Path
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Numpy, as_array, dequantize
from caten_sd.state.state_dict import StateDict
from caten_sd.state.tiles import TiledTensor


@attrs.frozen
class Move:
    """One value on its way into the slot ``key``: ``place`` is what lies there now.

    ``dtype`` is what the slot shall have, and ``recast`` says that it has another. ``new`` says
    that the value shall lie in the slot itself and is not copied into the place, ``extra`` that it
    is a torch module's extra state, ``unit`` that it is all that a module makes up of its state,
    ``copy`` that the leaf is not to be adopted.
    """

    key: str
    place: Any
    leaf: Any
    dtype: DType | None = None
    recast: bool = False
    new: bool = False
    extra: bool = False
    unit: bool = False
    copy: bool = False


@attrs.define
class Moves:
    """The moves of one load; ``adopt`` keeps the memory of the leaves, ``location`` moves them."""

    obj: Any
    slots: StateDict
    aliases: Mapping[str, list[str]]
    moves: Sequence[Move]
    adopt: bool = False
    location: Any = None

    def made_ready(self) -> list[Move]:
        """Return the moves in a form that cannot fail; LoadError where one has none."""
        made: list[Move] = []
        for move in self.moves:
            with _naming(move.key):
                made.append(self._ready(move))
        apart = kept_apart(
            [(move.place, None if move.new else move.leaf) for move in made],
            lambda place, leaf: replacement(place, leaf, copy=True),
        )
        return [
            move if move.new or leaf is move.leaf else attrs.evolve(move, leaf=leaf)
            for move, leaf in zip(made, apart, strict=True)
        ]

    def make(self, made_ready: list[Move]) -> Mapping[str, Any]:
        """Write everything and return what lies in each slot; LoadError if nothing was changed.

        The list is emptied: what was mapped for one value is given back when that is written.
        """
        placed = {
            move.key: staged.leaf if staged.new else move.place
            for move, staged in zip(self.moves, made_ready, strict=True)
        }
        puts = [put for move in made_ready if move.new for put in self._puts(move)]
        copies = [move for move in reversed(made_ready) if not move.new]
        made_ready.clear()
        _put_all(self.obj, puts)
        total = len(copies)
        while copies:
            move = copies.pop()
            try:
                assign(move.place, move.leaf)
            except Exception as error:
                done = total - len(copies) - 1 + len(puts)
                raise LoadError(
                    f"{move.key} could not be written ({error}); {done} of {total + len(puts)} "
                    f"slots are written already: load again"
                ) from error
        return placed

    def _ready(self, move: Move) -> Move:
        """Return the move with its value in a form that cannot fail once writing has begun."""
        if move.extra:
            return attrs.evolve(move, leaf=copied(move.leaf))
        own = local_shard(move.place)
        leaf = certain(own.slice_of(move.leaf))
        if move.new:
            wishes = {
                "dtype": move.dtype,
                "location": self.location,
                "copy": move.copy or not self.adopt,
            }
            new = replacement(own.place, leaf, **wishes)
            return attrs.evolve(move, leaf=own.full(new))
        if not isinstance(leaf, (Derived, BlockTensor)):  # those are computed one at a time
            leaf = ready(own.place, leaf)
        if refusal(own.place) is None:
            _rehearse(own.place, leaf)
        unchanged = own.place is move.place and leaf is move.leaf
        return move if unchanged else attrs.evolve(move, place=own.place, leaf=leaf)

    def _puts(self, move: Move) -> list[tuple[Slot, Any, Path]]:
        """Return where the value goes: one object under every name, so that ties hold."""
        paths = self.slots.paths
        names = [move.key, *self.aliases.get(move.key, ())]
        return [(slot_at(self.obj, paths[name]), move.leaf, paths[name]) for name in names]


def certain(leaf: Any) -> Any:
    """Return a leaf whose bytes lie in memory or in a map, so that reading them cannot fail."""
    if isinstance(leaf, LazyTensor):
        leaf.raw()  # within the file, and the file is open
        return leaf if leaf.source.mapped else as_array(Numpy(), leaf)
    if isinstance(leaf, TiledTensor):
        return as_array(Numpy(), leaf)
    if isinstance(leaf, BlockTensor):
        raw = certain(leaf.raw)
        if not dequantize.methods(type(leaf.block_type), object):
            raise LoadError(f"nobody taught how to unpack {leaf.dtype}")
        return leaf if raw is leaf.raw else BlockTensor(leaf.block_type, raw, leaf.shape)
    if isinstance(leaf, Derived):
        leaves = [certain(part) for part in leaf.leaves]
        same = all(map(_is, leaves, leaf.leaves))
        return leaf if same else Derived(leaf.step, leaves, leaf.shape, leaf.dtype)
    return leaf


def _is(one: Any, other: Any) -> bool:
    return one is other


def _rehearse(place: Any, leaf: Any) -> None:
    """Try a place that may still refuse on a copy of it."""
    try:
        double = deepcopy(place)
    except Exception:  # what cannot be copied cannot be tried
        return
    assign(double, leaf)


@contextlib.contextmanager
def _naming(key: str) -> Iterator[None]:
    """Say which leaf could not be had, and that this happened before the first write."""
    try:
        yield
    except Exception as error:
        raise LoadError(f"{key} cannot be loaded ({error}); nothing was changed") from error


def _put_all(obj: Any, puts: list[tuple[Slot, Any, Path]]) -> None:
    """Put each value into its slot; where one refuses, put back what lay in the others."""
    before: list[tuple[Slot, Any]] = []
    for slot, value, path in puts:
        try:
            before.append((slot, slot.get()))
            assign(slot, value)
        except Exception as error:
            for changed, old in reversed(before):
                with contextlib.suppress(Exception):  # the one that refused may refuse this too
                    assign(changed, old)
            raise immutable(obj, path, error) from error
