"""Every container in an object, with its path; a wrapper counts as the object inside it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from caten_sd.objects.owner import Slot, slots_of, unwrap
from caten_sd.objects.slots import OPTIONAL, SAVED
from caten_sd.state.keys import Path, path_element


class Container(NamedTuple):
    """A container, its path from the root and its slots."""

    path: Path
    owner: Any
    slots: list[Slot]


def containers(obj: Any, kinds: Collection[str] = SAVED) -> Iterator[Container]:
    """Yield the object and each container in it; a shared one once for each of its paths.

    Those in slots of other ``kinds`` are left out.

    Attributes that are not slots are not searched. A wrapper comes before the object inside it,
    under the same path, if it has slots of its own. One that holds itself is not entered again.
    """
    stack: list[tuple[Path, Any, frozenset[int]]] = [([], obj, frozenset())]
    owners = _Owners()
    while stack:
        path, wrapper, around = stack.pop()
        owner = unwrap(wrapper)
        if id(owner) in around:
            continue
        if owner is not wrapper and (own := _own_slots(wrapper)):
            yield Container(path, wrapper, own)
        container = Container(path, owner, list(slots_of(owner) or ()))
        yield container
        inner = around | {id(owner)}
        below = [
            ([*path, path_element(name)], value, inner)
            for name, value, kind in container.slots
            if owners[type(value)] and kind in kinds
        ]
        stack.extend(reversed(below))


class _Owners(dict[type, bool]):
    """Whether objects of a class have slots; found out once per walk."""

    def __missing__(self, cls: type) -> bool:
        self[cls] = answer = slots_of.dispatch(cls) is not slots_of.dispatch(object)
        return answer


def _own_slots(wrapper: Any) -> list[Slot]:
    """Return the slots of a wrapper that hold leaves, as a counter does."""
    return [slot for slot in slots_of(wrapper) or () if slots_of(slot[1]) is None]


def computed(container: Container, kinds: Collection[str] = OPTIONAL) -> dict[str, Any]:
    """Return what a container computes itself, by name: buffers that are not saved, and caches."""
    return {name: value for name, value, kind in container.slots if kind in kinds}
