"""Arrays in the containers of a module that the module's own library does not count as state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from caten_sd.errors import StateDictError
from caten_sd.state.keys import Path, path_text
from caten_sd.wording import a_or_an


def refuse_uncounted(
    world: str, owner: Any, path: Path, value: Any, is_uncounted: Callable[[Any], bool]
) -> None:
    """Refuse what is uncounted in the dicts, lists and tuples below a slot of an owner."""
    if is_uncounted(value):
        raise StateDictError(
            f"{path_text(path)} of {type(owner).__name__} is {a_or_an(type(value).__name__)}, "
            f"which {world} does not count as a parameter, as its own save shows: make it an "
            f"array of {world}, or a list of them"
        )
    if type(value) in (dict, list, tuple):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            refuse_uncounted(world, owner, [*path, name], item, is_uncounted)
