"""Whether a method of ``to_state_dict`` returned pairs of a path and a leaf, as it has to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from caten_sd.errors import StateDictError
from caten_sd.state.keys import Pair, Path, path_text
from caten_sd.wording import a_or_an

_FIX = "return a list of pairs such as ([*parent, 'weight'], leaf)"


def checked_pairs(obj: Any, parent: Path, returned: Any) -> list[Pair]:
    """Return the pairs that a method gives for an object; StateDictError for anything else.

    A method may be a generator.

    >>> checked_pairs(0, ["fc"], iter([(["fc", "w"], 1.5)]))
    [(['fc', 'w'], 1.5)]
    """
    is_one = isinstance(returned, (str, bytes, Mapping)) or hasattr(returned, "dtype")
    if is_one or not isinstance(returned, Iterable):
        what = "None" if returned is None else a_or_an(type(returned).__name__)
        raise _wrong(obj, parent, f"returned {what}")
    start, pairs = list(parent), []
    for pair in returned:
        pairs.append(pair)
        if problem := _problem(pair, start):
            raise _wrong(obj, parent, problem)
    return pairs


def _problem(pair: Any, start: Path) -> str:
    """Return what is wrong with a pair, whose path has to begin with a parent, or ""."""
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        length = f" of {len(pair)}" if isinstance(pair, (tuple, list)) else ""
        return f"returned {a_or_an(type(pair).__name__)}{length} in place of a pair"
    path = pair[0]
    if not isinstance(path, (tuple, list)):  # text would become a path of letters
        shown = repr(path) if isinstance(path, str) else a_or_an(type(path).__name__)
        return f"returned {shown} in place of a path"
    if list(path[: len(start)]) != start:
        return f"returned the path {list(path)}, which does not begin with its parent, {start}"
    for step in path[len(start) :]:
        if not isinstance(step, (str, int)):
            return f"returned a path with {a_or_an(type(step).__name__)}, not text or an int, in it"
    return ""


def _wrong(obj: Any, parent: Path, problem: str) -> StateDictError:
    name = type(obj).__name__
    return StateDictError(
        f"the to_state_dict method for {path_text(parent)}, {a_or_an(name)}, {problem}; {_FIX}"
    )
