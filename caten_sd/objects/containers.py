"""Every container in an object, with its path; a wrapper counts as the object inside it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from typing import Any, NamedTuple

from caten_sd.objects.place import unwrap
from caten_sd.objects.slots import slot_kind
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
    if fields := getattr(type(owner), "__attrs_attrs__", None):
        kept = (f.name for f in fields if slot_kind(f) in ("state", "buffer"))
        return ((name, getattr(owner, name)) for name in kept if hasattr(owner, name))
    if is_dataclass(owner):
        names = (field.name for field in dataclass_fields(owner))
        return ((name, getattr(owner, name)) for name in names if hasattr(owner, name))
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
    fields = getattr(type(owner), "__attrs_attrs__", ())
    names = [field.name for field in fields if slot_kind(field) in kinds]
    names += sorted(getattr(owner, "_non_persistent_buffers_set", ()))  # as torch names them
    return {name: getattr(owner, name, None) for name in names}
