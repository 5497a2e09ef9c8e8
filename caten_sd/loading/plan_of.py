"""plan_of: how a load into an object is planned, slot by slot unless its type has a method."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from caten_sd.dispatch.generic import generic
from caten_sd.loading.report import LoadPlan

F = TypeVar("F", bound=Callable[..., LoadPlan])


@generic
def plan_of(
    obj: Any,
    /,
    *,
    state_dict: Mapping[str, Any],
    options: Mapping[str, Any],
    by_slot: Callable[..., LoadPlan],
) -> LoadPlan:
    """Return the plan of a load; add a method for a type whose state is not all in its own slots.

    ``options`` are the keywords of ``plan_load``; ``by_slot(obj, state_dict, **options)`` plans a
    model that is a part of the object.
    """
    raise NotImplementedError


@plan_of.register(object)
def _by_slot(
    obj: Any,
    /,
    *,
    state_dict: Mapping[str, Any],
    options: Mapping[str, Any],
    by_slot: Callable[..., LoadPlan],
) -> LoadPlan:
    return by_slot(obj, state_dict, **options)


def by_type(by_slot: F) -> F:
    """Let the type of the object choose how the load is planned."""

    @functools.wraps(by_slot)
    def planned(obj: Any, state_dict: Mapping[str, Any], **options: Any) -> LoadPlan:
        return plan_of(obj, state_dict=state_dict, options=options, by_slot=by_slot)

    return cast(F, planned)
