"""The moves that carry out a plan: all are prepared while nothing is touched, then all are made."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import attrs

from caten_sd.errors import LoadError
from caten_sd.loading.aliasing import Overlaps
from caten_sd.loading.load_target import LoadTarget
from caten_sd.loading.methods import Methods
from caten_sd.loading.nested_state import copied
from caten_sd.loading.readable import readable
from caten_sd.loading.shared_memory import refuse_differences
from caten_sd.objects.owner import put, put_back
from caten_sd.objects.place import assign, conversion, of_its_kind, replacement
from caten_sd.objects.shards import is_divided, local_shard
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.derived import Derived
from caten_sd.state.dtype import DType
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import LazyLeaf
from caten_sd.wording import first_few

Conversion = Callable[[Any, Any], Any]


class How(enum.Enum):
    """How a value gets into a slot."""

    COPY = "copied into the array that is there"
    REPLACE = "put into the slot as a new object"
    NESTED = "given as a tree to the module that adds it to its tensors"
    SYNTHESIZED = "given to the module that synthesizes it, together with the rest of that state"


COPY, SYNTHESIZED = How.COPY, How.SYNTHESIZED  # looking up a member of an Enum is slow
_PUTS = (How.REPLACE, How.NESTED)


class Move(NamedTuple):
    """One value on its way into the slot ``key``; ``place`` is what the slot has now.

    For a NESTED move ``place`` is the owner's hooks and the name of the slot there. ``dtype`` and
    ``adopt`` are for REPLACE alone: the dtype of the new object (None: the leaf's), and whether it
    may share the leaf's memory. ``rehearse`` if nobody knows whether the place takes the leaf: the
    write is then tried on a copy of the place first. In a SYNTHESIZED move ``leaf`` is a mapping of
    names in the module to leaves.
    """

    key: str
    place: Any
    leaf: Any
    how: How = COPY
    dtype: DType | None = None
    adopt: bool = False
    rehearse: bool = False


def with_synthesized_merged(moves: Iterable[Move]) -> list[Move]:
    """Return the moves; at the end, for each synthesized slot one move with all of its leaves."""
    others: list[Move] = []
    merged: dict[int, Move] = {}
    for move in moves:
        if move.how is not SYNTHESIZED:
            others.append(move)
            continue
        whose = f"the synthesized state of {type(move.place.owner).__name__}, such as {move.key},"
        known = merged.get(id(move.place)) or move._replace(key=whose, leaf={})
        merged[id(move.place)] = known._replace(leaf={**known.leaf, **move.leaf})
    return [*others, *merged.values()]


@attrs.frozen
class Moves:
    """The moves of one load; ``location`` is the ``map_location`` of the caller."""

    target: LoadTarget
    moves: Sequence[Move]
    location: Any = None

    def prepared(self) -> list[Move]:
        """Return the moves in a form that cannot fail; LoadError if one of them has none."""
        made: list[Move] = []
        overlaps = Overlaps()
        conversions: Callable[..., Conversion | None] = functools.cache(_conversion)
        for move in self.moves:
            try:
                convert = conversions(type(move.place), type(move.leaf))
                ready = self._prepared(move, convert)
            except Exception as error:
                raise LoadError(
                    f"{move.key} cannot be loaded ({error}); nothing was changed"
                ) from error
            made.append(ready)
            # Looked at now, as reading a tensor's memory twice costs more than all else does.
            if ready.how is COPY:
                overlaps.add(ready.place, ready.leaf)
        if overlaps.between_places():
            copies = [each for each in made if each.how is COPY and overlaps.shared(each.place)]
            refuse_differences((each.key, each.place, each.leaf) for each in copies)
        return [_unaliased(move, overlaps) for move in made] if overlaps.any() else made

    def _prepared(self, move: Move, convert: Conversion | None) -> Move:
        if convert is not None and move.how is COPY and not move.rehearse:
            made = convert(move.place, move.leaf)
            return move if made is move.leaf else move._replace(leaf=made)
        if move.how is How.NESTED:
            return move._replace(leaf=copied(move.leaf))
        shard = local_shard(move.place)
        place, leaf = shard.place, readable(shard.slice_of(move.leaf))
        if move.how is How.REPLACE:
            options = {"dtype": move.dtype, "location": self.location, "copy": not move.adopt}
            make = functools.partial(replacement, place, leaf, **options)
            new = shard.full(make() if move.adopt else with_bytes_copied(make))
            return Move(move.key, move.place, new, How.REPLACE)
        if not isinstance(leaf, (Derived, BlockTensor)):  # those are computed one at a time
            made = of_its_kind(place, leaf)
            leaf = leaf if isinstance(leaf, LazyTensor) else made  # read from the file when copied
        if move.rehearse:
            _rehearse(place, leaf)
        same = place is move.place and leaf is move.leaf
        return move if same else Move(move.key, place, leaf, move.how)

    def carry_out(self, prepared: list[Move]) -> LoadTarget:
        """Write everything and return the target; LoadError if a slot refuses its value.

        The list is emptied, so that the memory of each value is free as soon as it is written.
        """
        puts = [each for move in prepared if move.how in _PUTS for each in self._puts(move)]
        copies = [move for move in prepared[::-1] if move.how not in _PUTS]
        prepared.clear()
        _put_all(type(self.target.obj).__name__, puts)
        write_all(copies, len(puts))
        return self.target

    def _puts(self, move: Move) -> Iterator[Put]:
        """Yield the slots that get the value: one object in each of them, so that ties hold."""
        if move.how is How.NESTED:
            hooks, name = move.place
            yield Put(move.key, hooks.owner, name, move.leaf, hooks.saved(name))
            return
        for owner, name in self.target.holders(move.key):
            yield Put(move.key, owner, name, move.leaf, move.place)


def write_all(copies: list[Move], done: int = 0) -> None:
    """Copy the values into their places, the last of the list first, and empty the list."""
    with_bytes_copied(_write_each, copies, len(copies) + done)


def _write_each(copies: list[Move], total: int) -> None:
    methods = Methods(assign)
    while copies:
        move = copies.pop()
        try:
            methods[type(move.place), type(move.leaf)](move.place, move.leaf)
        except Exception as error:
            done = total - len(copies) - 1
            raise LoadError(
                f"{move.key} could not be written ({error}); {done} of {total} slots are "
                f"written already: load again"
            ) from error


def _conversion(place: type, leaf: type) -> Conversion | None:
    """Return what prepares the copy of a leaf of this class; None if more has to be done for it.

    A leaf in memory that goes into all of its place only has to be made an array of its kind.
    """
    return None if issubclass(leaf, LazyLeaf) or is_divided(place) else conversion(place, leaf)


def _unaliased(move: Move, overlaps: Overlaps) -> Move:
    """Return the move, with a copy of its leaf if another move will overwrite that."""
    if move.how is COPY and overlaps.overwritten(move.place, move.leaf):
        return move._replace(leaf=replacement(move.place, move.leaf, copy=True))
    return move


def _rehearse(place: Any, leaf: Any) -> None:
    """Try the write on a copy of a place that may still refuse it."""
    try:
        double = deepcopy(place)
    except Exception:  # what cannot be copied cannot be tried
        return
    assign(double, leaf)


class Put(NamedTuple):
    """A new object for the slot ``name`` of an owner, which has the ``old`` one now."""

    key: str
    owner: Any
    name: Any
    new: Any
    old: Any


def _put_all(model: str, puts: Sequence[Put]) -> None:
    """Put each value into its slot; after a refusal or an interruption, restore all of them."""
    begun: list[Put] = []
    try:
        for each in puts:
            begun.append(each)
            put(each.owner, each.name, each.new)
    except Exception as error:
        lost = _restore(begun)
        changed = f"{first_few(lost, 5)} changed and cannot be put back" if lost else ""
        raise LoadError(
            f"{begun[-1].key or 'the root'} of {model} cannot take a new value ({error}); "
            f"{changed or 'nothing was changed'}: give a value that it takes, or load without "
            f"assign, dtype and map_location, which copies into the old one and calls no setter"
        ) from error
    except BaseException:  # Ctrl-C
        _restore(begun)
        raise


def _restore(begun: list[Put]) -> list[str]:
    """Put the old objects back, the last one first; return the keys for which that fails."""
    back = [(put_back(each.owner, each.name, each.old), each.key) for each in reversed(begun)]
    return [key for is_back, key in back if not is_back]
