"""Who plans a load: slot by slot as any object, unless its type is taught otherwise."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

from caten_sd.dispatch.generic import generic
from caten_sd.loading.report import LoadPlan

P = ParamSpec("P")


@generic
def plan_of(
    obj: Any,
    /,
    *,
    state_dict: Mapping[str, Any],
    options: Mapping[str, Any],
    by_slot: Callable[..., LoadPlan],
) -> LoadPlan:
    """Return the plan of a load; teach it a type whose state is not all in slots of its own.

    ``options`` are the keywords of ``plan_load``, and ``by_slot`` plans a model among its parts.
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


def by_type(by_slot: Callable[P, LoadPlan]) -> Callable[P, LoadPlan]:
    """Let the type of the object say how a load into it is planned."""

    @functools.wraps(by_slot)
    def planned(*args: P.args, **kwargs: P.kwargs) -> LoadPlan:
        arguments: dict[str, Any] = {
            **dict(zip(("obj", "state_dict"), args, strict=False)),
            **kwargs,
        }
        obj, state_dict = arguments.pop("obj"), arguments.pop("state_dict")
        return plan_of(obj, state_dict=state_dict, options=arguments, by_slot=by_slot)

    return planned
