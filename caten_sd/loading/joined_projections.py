"""Find projections that are one tensor on one side and several on the other, as q, k and v."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from caten_sd.loading.misfit import Case, Cause, Shape
from caten_sd.loading.report import Outcome

_PATTERNS = ("{}", "{}_proj", "{}_lin", "to_{}", "w{}", "linear_{}")
_NAMES = (
    *(tuple(pattern.format(name) for name in "qkv") for pattern in _PATTERNS),
    ("query", "key", "value"),
    ("query_proj", "key_proj", "value_proj"),
)


def joined_projections(case: Case) -> Cause | None:
    """Return a cause if the rows of query, key and value add up to one tensor of the other side.

    The order of heads in the joined tensor is not in the shapes, so there is no line to paste.
    """
    file, model = case.shapes(Outcome.UNEXPECTED), case.shapes(Outcome.MISSING)
    for several, single, sides in (
        (file, model, ("the file", "the model")),
        (model, file, ("the model", "the file")),
    ):
        if found := _joined(several, single):
            names, one, sizes, rows = found
            total = " + ".join(map(str, sizes))
            return Cause(
                f"{', '.join(names)} of {sides[0]} look like {one} of {sides[1]} ({total} = {rows} "
                f"rows); shapes do not show how the heads lie in it, so give a Layout with a Row "
                f"of Concat or Regroup",
                "",
            )
    return None


def _joined(
    several: Mapping[str, Shape], single: Mapping[str, Shape]
) -> tuple[list[str], str, list[int], int] | None:
    """Return the keys of query, key and value, the one that they add up to, and their rows."""
    parents = _by_parent(several)
    for key, whole in single.items():
        parts = key.split(".")
        if len(parts) < 2 or len(whole) < 2:
            continue
        start = ".".join(parts[:-2])
        children = parents.get((start, parts[-1]), {})
        for names in _NAMES:
            shapes = [children[name] for name in names if name in children]
            alike = len(shapes) == 3 and all(each[1:] == whole[1:] for each in shapes)
            if alike and sum(each[0] for each in shapes) == whole[0]:
                begin = f"{start}." if start else ""
                keys = [f"{begin}{name}.{parts[-1]}" for name in names]
                return keys, key, [each[0] for each in shapes], whole[0]
    return None


def _by_parent(shapes: Mapping[str, Shape]) -> dict[tuple[str, str], dict[str, Shape]]:
    """Return the shapes by name of the module, for each parent and each name of a tensor."""
    found: dict[tuple[str, str], dict[str, Shape]] = defaultdict(dict)
    for key, shape in shapes.items():
        parts = key.split(".")
        if len(parts) > 1 and shape:
            found[".".join(parts[:-2]), parts[-1]][parts[-2]] = shape
    return found
