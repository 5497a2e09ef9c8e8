"""Find projections that are one tensor on one side and several on the other, as q, k and v."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from caten_sd.loading.misfit import Case, Cause, Shape
from caten_sd.loading.report import Outcome
from caten_sd.loading.row_lines import LayoutRow, layout_line

_PATTERNS = ("{}", "{}_proj", "{}_lin", "to_{}", "w{}", "linear_{}")
_NAMES = (
    *(tuple(pattern.format(name) for name in "qkv") for pattern in _PATTERNS),
    ("query", "key", "value"),
    ("query_proj", "key_proj", "value_proj"),
    ("gate_proj", "up_proj"),
    ("w1", "w3"),
)
# torch.nn.MultiheadAttention's own names: its rows are those of q, then k, then v.
_ORDERED = "in_proj_"


class _Sum(NamedTuple):
    """The keys of one side that add up to one key of the other, their rows, and the sum."""

    parts: list[str]
    whole: str
    rows: list[int]
    total: int

    @property
    def is_ordered(self) -> bool:
        """Whether the name tells in which order the rows lie in the whole."""
        return self.whole.rpartition(".")[2].startswith(_ORDERED) and len(self.parts) == 3


def joined_projections(case: Case) -> Cause | None:
    """Return a cause if the rows of query, key and value add up to one tensor of the other side.

    There is a line only for torch's own attention. In others the order of heads in the joined
    tensor is not in the shapes.
    """
    file, model = case.shapes(Outcome.UNEXPECTED), case.shapes(Outcome.MISSING)
    for several, single, sides in (
        (file, model, ("the file", "the model")),
        (model, file, ("the model", "the file")),
    ):
        if found := list(_joined(several, single)):
            first = found[0]
            total = " + ".join(map(str, first.rows))
            text = (
                f"{', '.join(first.parts)} of {sides[0]} look like {first.whole} of {sides[1]} "
                f"({total} = {first.total} rows)"
            )
            if all(each.is_ordered for each in found):
                return Cause(text, _line(found, file, model))
            unsure = "shapes do not show in which order the rows lie in it, so give a Layout with"
            return Cause(f"{text}; {unsure} a Row of Concat or Regroup", "")
    return None


def _joined(several: Mapping[str, Shape], single: Mapping[str, Shape]) -> Iterator[_Sum]:
    for key, whole in single.items():
        for parts in _possible_parts(key) if whole else ():
            shapes = [several[part] for part in parts if part in several]
            alike = len(shapes) == len(parts) and all(each[1:] == whole[1:] for each in shapes)
            if alike and all(shapes) and sum(each[0] for each in shapes) == whole[0]:
                yield _Sum(parts, key, [each[0] for each in shapes], whole[0])
                break


def _possible_parts(key: str) -> Iterator[list[str]]:
    """Yield the names that the tensors may have that make up one: modules', or torch's own."""
    *parents, last = key.split(".")
    if last in (f"{_ORDERED}weight", f"{_ORDERED}bias"):
        start, last = "".join(f"{each}." for each in parents), last.removeprefix(_ORDERED)
        yield [f"{start}{name}_proj_{last}" for name in "qkv"]
    elif parents:
        start = "".join(f"{each}." for each in parents[:-1])
    else:
        return
    for names in _NAMES:
        yield [f"{start}{name}.{last}" for name in names]


def _line(found: list[_Sum], file: Mapping[str, Shape], model: Mapping[str, Shape]) -> str:
    """Return the line that joins or splits the tensors, if nothing else has other names."""
    known = {key for each in found for key in (*each.parts, each.whole)}
    if known != {*file, *model}:
        return ""
    rows: list[LayoutRow] = [
        ([each.whole], each.parts, f"Split({tuple(each.rows)})")
        if each.whole in model
        else (each.parts, [each.whole], f"Concat({tuple(each.rows)})")
        for each in found
    ]
    return layout_line(rows)
