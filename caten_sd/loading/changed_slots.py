"""Which slots of an object hold something else than when a plan for it was made."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

from caten_sd.state.leaf import Spec, spec_or_none
from caten_sd.state.same_place import known_apart, same_place

Leaves = Mapping[str, Any]


def changed_slots(
    before: Leaves, specs: Mapping[str, Spec | None], extract: Callable[[], Leaves],
    made_anew: Container[str],
) -> list[str]:  # fmt: skip
    """Return the keys that are new or gone, or whose leaf is another one or of another shape.

    ``extract`` returns the leaves as they are now. Those ``made_anew`` are new objects each time.
    """
    now = extract()
    kept = {k: (leaf, now[k]) for k, leaf in before.items() if k in now and k not in made_anew}
    other = {
        key
        for key, (old, new) in kept.items()
        if (known_apart(old, new) if old is not new else _is_recast(new, specs.get(key)))
    }
    unknown = {
        key
        for key, (old, new) in kept.items()
        if old is not new and key not in other and not same_place(old, new)
    }
    if unknown:  # they have no memory, as on the meta device, or a method makes them anew
        again = extract()
        other |= {key for key in unknown if again.get(key) is now[key]}
    gone = [key for key in before if key not in now or key in other]
    return gone + [key for key in now if key not in before]


def _is_recast(leaf: Any, before: Spec | None) -> bool:
    """Return whether an array has another shape or dtype; a lazy one takes its shape later."""
    return before is not None and spec_or_none(leaf) != before
