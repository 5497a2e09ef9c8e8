"""Load a state dict into a new object, for models that cannot be changed in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import Any, TypeVar

import attrs

from caten_sd.errors import LoadError
from caten_sd.loading.apply import apply
from caten_sd.loading.load import plan_with_moves, warn_of
from caten_sd.loading.load_target import LoadTarget
from caten_sd.loading.moves import How, Move, Moves, write_all
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.loading.policy import Patterns, Repair
from caten_sd.loading.report import require_fit
from caten_sd.objects.extract import get_state_dict
from caten_sd.objects.owner import put
from caten_sd.objects.place import can_be_replaced, refusal, replacement
from caten_sd.objects.shards import local_shard, refusing_together
from caten_sd.objects.slots import Kinds
from caten_sd.state.keys import KeyMapper, pytorch_style_dict_key
from caten_sd.state.options import checked_options
from caten_sd.state.same_place import same_place

T = TypeVar("T")


@checked_options()
def with_state(
    obj: T,
    state_dict: Mapping[str, Any],
    *,
    silent: bool = False,
    key_mapper: KeyMapper = pytorch_style_dict_key,
    strict: bool = False,
    assign: bool = False,
    allow_missing: Patterns = (),
    allow_unexpected: Patterns = (),
    on_mismatch: Mapping[str, Repair] | None = None,
    rename: Mapping[str, str] | None = None,
    dtype: Any = None,
    map_location: Any = None,
    check_values: bool = False,
    include: Kinds = (),
) -> T:
    """Return a new object of the same type with this state; the old one stays as it was.

    This is the load of what cannot be changed in place: frozen attrs classes and dataclasses,
    tuples, immutable arrays. Plan, rules and options are those of ``load_state_dict``. The new
    object shares no array with the old one, and one with the file only if ``assign``. What is not
    state is copied as ``copy.deepcopy`` copies it.

    >>> import numpy
    >>> old = (numpy.zeros(2), numpy.zeros(1))
    >>> with_state(old, {"0": numpy.ones(2), "1": numpy.ones(1)})
    (array([1., 1.]), array([1.]))
    """
    _require_slots(obj)
    with refusing_together(lambda: get_state_dict(obj).values()):
        plan, moves = plan_with_moves(
            obj,
            state_dict,
            anew=MovesIntoCopy,
            key_mapper=key_mapper,
            assign=assign,
            allow_missing=allow_missing,
            allow_unexpected=allow_unexpected,
            on_mismatch=on_mismatch,
            rename=rename,
            dtype=dtype,
            map_location=map_location,
            check_values=check_values,
            include=include,
        )
        if strict:
            require_fit(plan)
    report, new = apply(plan, moves, unchanged=True)
    if not silent:
        warn_of(report)
    loaded: T = new
    return loaded


def _require_slots(obj: object) -> None:
    """LoadError if the object plans its own load: it is then not filled slot by slot."""
    if type(hooks_of(obj)).plan is not OwnerHooks.plan:
        raise LoadError(
            f"{type(obj).__name__} loads by a plan of its own, which changes it in place; nothing "
            f"was changed: load with load_state_dict(obj, state_dict)"
        )


@attrs.frozen
class MovesIntoCopy(Moves):
    """Moves that are made in a copy of the target's object."""

    def carry_out(self, prepared: list[Move]) -> LoadTarget:
        """Copy the object, with the new arrays in place of the old ones; return the copy's target.

        An array that is not in the object itself, as one that a method makes up, is copied into.
        """
        old = self.target
        new_arrays = {
            id(old.slots.entry[name]): move.leaf
            for move in prepared
            if move.how is How.REPLACE
            for name in old.names_of(move.key)
        }
        try:
            kept = _copies_of_kept(old, new_arrays)
            memo = {**old.constants(), **kept, **new_arrays}
            made = deepcopy(old.obj, _with_owners(old, memo))
        except Exception as error:
            raise LoadError(
                f"{type(old.obj).__name__} cannot be copied ({type(error).__name__}: {error}); "
                f"nothing was changed: give its class a __deepcopy__"
            ) from error
        copy = old.of(made)
        _require_apart(old, copy)
        copies = [again for move in prepared for again in _again(move, old, copy)]
        prepared.clear()
        write_all(copies[::-1])
        return copy


def _copies_of_kept(old: LoadTarget, new_arrays: Mapping[int, Any]) -> dict[int, Any]:
    """Return copies, by id, of the arrays that are not loaded and that a deepcopy would lose.

    It would share them, or make arrays of another class of them.
    """
    found: dict[int, Any] = {}
    is_lost: dict[type, bool] = {}
    for place in old.slots.entry.values():
        if id(place) in new_arrays or id(place) in found or not can_be_replaced(*[type(place)] * 2):
            continue
        cls = type(place)
        if cls not in is_lost:
            is_lost[cls] = _is_lost_by_deepcopy(place)
        if is_lost[cls]:
            found[id(place)] = replacement(place, place, copy=True)
    return found


def _is_lost_by_deepcopy(place: Any) -> bool:
    """Return whether an array that can be written is in the same memory after a deepcopy.

    So is one whose copy is of another class, as that of a Variable of NNX, which is its array.
    """
    try:
        made = deepcopy(place)
        return refusal(place, place) == "" and (
            type(made) is not type(place) or same_place(place, made)
        )
    except Exception:  # what cannot be copied is said when all of the object is
        return False


def _with_owners(old: LoadTarget, memo: dict[int, Any]) -> dict[int, Any]:
    """Return the memo of a deepcopy with copies of those owners that it would not copy by it."""
    for owner in reversed(old.owners):  # those inside others come first
        if id(owner) in memo:
            continue
        if type(owner) is MappingProxyType:
            memo[id(owner)] = MappingProxyType(deepcopy(dict(owner), memo))
        elif (made := hooks_of(owner).copied(memo)) is not None:
            memo[id(owner)] = made
    return memo


def _require_apart(old: LoadTarget, copy: LoadTarget) -> None:
    """LoadError if the copy shares a slot that can be written with the old object."""
    for key, place in copy.slots.entry.items():
        shared = old.slots.entry.get(key)
        if shared is not None and same_place(place, shared) and refusal(place, place) == "":
            raise LoadError(
                f"{key} of {type(old.obj).__name__} is the same array in the copy, so a load would "
                f"change the old object; nothing was changed: give the class that holds it a "
                f"__deepcopy__ that copies it"
            )


def _again(move: Move, old: LoadTarget, copy: LoadTarget) -> Iterator[Move]:
    """Yield the move into the copy, unless copying has made it already."""
    if move.how is How.NESTED:
        hooks, name = copy.nested[move.key]
        put(hooks.owner, name, move.leaf)
    elif move.how is How.SYNTHESIZED:
        key = next(key for key, slot in old.synthesized.items() if slot is move.place)
        yield move._replace(place=copy.synthesized[key])
    else:
        place = copy.slots[move.key]
        if move.how is not How.COPY and same_place(place, move.leaf):
            return
        if move.how is How.REPLACE and refusal(place, move.leaf):
            _put_into(copy, move)
            return
        yield Move(move.key, local_shard(place).place, move.leaf)


def _put_into(copy: LoadTarget, move: Move) -> None:
    """Put a new array into a copy that has another one: its class copies without a look at it."""
    holders = copy.holders(move.key)
    if not holders:
        raise LoadError(
            f"{move.key} of the copy is in no slot, so its new value would be lost; nothing was "
            f"changed: give the class that holds it a __deepcopy__ that uses its memo"
        )
    for owner, name in holders:
        try:
            put(owner, name, move.leaf)
        except Exception as error:
            raise LoadError(
                f"{move.key} of the copy cannot take a new value ({error}); nothing was changed: "
                f"keep it in a list or a dict, which {type(owner).__name__} is not"
            ) from error
