"""Scales, and whatever else belongs to a packed weight, taken through a layout with the weight."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.mapping.gathered import Item
from caten_sd.state.accompanied import Accompanied
from caten_sd.state.packed_names import plain_name, role_of
from caten_sd.state.packed_weights import packed_groups, packed_keys


def accompanied(
    items: Sequence[Item], has_row: Callable[[str], bool]
) -> tuple[list[Item], dict[str, list[str]]]:
    """Return the items, each packed weight with its companions as one, and the keys of such ones.

    The one item has the name of a weight that is not packed. A weight stays alone if some companion
    has a row of its own.
    """
    leaves = {item.key: item.leaf for item in items}
    made: dict[str, Item] = {}
    members: dict[str, list[str]] = {}
    for weight, others in packed_groups(leaves).items():
        name = plain_name(weight)
        roles = {key: role_of(key, name) for key in (weight, *others)}
        taken = name != weight and name in leaves
        if taken or None in roles.values() or any(map(has_row, others)):
            continue
        companions = {str(roles[key]): leaves[key] for key in others}
        leaf = Accompanied(leaves[weight], companions, str(roles[weight]))
        made[weight] = Item(name, leaf, weight)
        members[name] = [weight, *others]
    gone = {key for _, *others in members.values() for key in others}
    return [made.get(item.key, item) for item in items if item.key not in gone], members


def refuse_own_axes(leaves: Iterable[Any]) -> None:
    """Refuse an operation on packed weights whose axes are not those of their values."""
    for leaf in leaves:
        if isinstance(leaf, Accompanied) and leaf.has_own_axes:
            raise LayoutError(
                f"a packed weight {list(leaf.shape)} has other axes than its values, so only its "
                f"name can be another; dequantize the weight first, by to_floats or --dtype f16, "
                f"or leave it in its layout"
            )


def expanded(items: Iterable[Item], separator: str) -> list[Item]:
    """Return the items with each packed weight and its companions apart, under their own names."""
    found = []
    for item in items:
        if not isinstance(item.leaf, Accompanied):
            found.append(item)
            continue
        parts = {item.leaf.role: item.leaf.weight, **item.leaf.companions}
        for role, leaf in parts.items():
            found.append(item._replace(key=_key(item.key, role, separator), leaf=leaf))
    return found


def refuse_parted(before: Mapping[str, Any], items: Sequence[Item]) -> None:
    """Refuse a packed weight that the result leaves without its scales."""
    groups = packed_groups(before)
    left = {item.origin for item in items if item.foreign} if groups else set()
    still = packed_keys({item.key: item.leaf for item in items}) if groups else {}
    for item in items if groups else ():
        if item.foreign or item.origin not in groups:
            continue
        behind = [key for key in groups[item.origin] if key in left]
        if behind or item.key not in still:
            scales = behind[0] if behind else groups[item.origin][0]
            raise LayoutError(
                f"{item.origin} would become {item.key}, and it is packed, with its scales in "
                f"{scales}, which nothing would recognize as its own: dequantize it first, by "
                f"to_floats or --dtype f16, or leave it in its layout"
            )


def _key(name: str, role: str, separator: str) -> str:
    if role[:1] in ("", "_", "."):
        return name + role
    parent, dot, _ = name.rpartition(separator)
    return parent + dot + role
