"""Every container in an object, with its path; a wrapper counts as the object inside it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from caten_sd.objects.declared_slots import declared_slots, slot_values
from caten_sd.objects.place import unwrap
from caten_sd.state.keys import Name, Path

_LEAVES = (str, bytes, int, float, complex, type(None), type, type(lambda: None))


class Container(NamedTuple):
    """A container and its path from the root."""

    path: Path
    owner: Any


def containers(obj: Any) -> Iterator[Container]:
    """Yield the object and each container in it; a shared one once for each of its paths.

    Attributes that are not declared as slots are not searched.
    """
    stack = [Container([], unwrap(obj))]
    while stack:
        container = stack.pop()
        yield container
        below = [
            Container([*container.path, name], unwrap(child))
            for name, child in _children(container.owner)
            if not isinstance(child, _LEAVES) and not _is_leaf(child)
        ]
        stack.extend(reversed(below))


def _is_leaf(child: Any) -> bool:
    return hasattr(child, "shape") and hasattr(child, "dtype")  # a model may have a dtype


def _children(owner: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(modules := getattr(owner, "_modules", None), dict):  # torch.nn.Module's
        return ((Name(name), child) for name, child in modules.items())
    if declared_slots(type(owner)):
        return slot_values(owner)
    if isinstance(owner, tuple) and (named := getattr(owner, "_fields", None)):
        return zip(named, owner, strict=True)
    if isinstance(owner, Mapping):
        return owner.items()
    return enumerate(owner) if isinstance(owner, (list, tuple)) else ()


def computed(
    container: Container, kinds: Collection[str] = ("computed", "transient")
) -> dict[str, Any]:
    """Return what a container computes itself, by name: buffers that are not saved, and caches."""
    owner = container.owner
    names = {each.element: each.name for each in declared_slots(type(owner)) if each.kind in kinds}
    # As torch names them.
    names |= {name: name for name in sorted(getattr(owner, "_non_persistent_buffers_set", ()))}
    return {key: getattr(owner, name, None) for key, name in names.items() if key is not None}
