"""Find tensors whose axes the file has in another way: transposed, of size 1, or joined."""

from __future__ import annotations

from caten_sd.loading.misfit import Case, Cause, Shape
from caten_sd.loading.policy import exactly
from caten_sd.loading.report import LoadRow, Outcome
from caten_sd.loading.row_lines import LayoutRow, layout_line
from caten_sd.state.grouping import few_keys
from caten_sd.state.quoting import python_literal
from caten_sd.wording import counted


def turned_matrices(case: Case) -> Cause | None:
    """Return a cause if matrices are transposed, in a layout that is not known."""
    rows = case.of(Outcome.SHAPE)
    found = [row for row in rows if _is_transposed(row)]
    if not found or len(found) * 2 < len(rows):
        return None
    keys = few_keys([row.key for row in found], 2)
    text = f"{counted(len(found), 'matrix is', 'matrices are')} transposed in the file ({keys})"
    square = [key for key, shape in case.file_shapes.items() if _is_square(shape)]
    if square:
        return Cause(
            f"{text}; square matrices may be too, which their shape cannot show "
            f"({few_keys(square, 2)}), so give each one a row in a Layout",
            "",
        )
    if len(found) < len(rows) or case.has_other_names:
        return Cause(text, "")
    turned: list[LayoutRow] = [([r.key], [r.source or r.key], "Transpose()") for r in found]
    return Cause(text, layout_line(turned))


def _is_transposed(row: LoadRow) -> bool:
    return bool(
        row.leaf
        and row.slot
        and len(row.leaf.shape) == 2
        and row.leaf.shape == row.slot.shape[::-1]
    )


def _is_square(shape: Shape) -> bool:
    return len(shape) == 2 and shape[0] == shape[1] > 1


def unit_axes(case: Case) -> Cause | None:
    """Return a cause if shapes differ only in axes of size 1, as a linear layer and a 1x1 conv."""
    rows = case.of(Outcome.SHAPE)
    if not rows or not all(map(_differs_in_unit_axes, rows)):
        return None
    tensors = counted(len(rows), "tensor differs", "tensors differ")
    text = f"{tensors} only in axes of size 1 ({few_keys([row.key for row in rows], 2)})"
    if square := [row.key for row in rows if _may_be_turned(row)]:
        unsure = f"square ones may be transposed, too ({few_keys(square, 2)})"
        return Cause(f"{text}; {unsure}, which their shape cannot show", "")
    if case.has_other_names:
        return Cause(text, "")
    return Cause(text, f"load_state_dict(model, state_dict, {_reshaping(rows)})")


def _differs_in_unit_axes(row: LoadRow) -> bool:
    if row.leaf is None or row.slot is None:
        return False
    file, model = ([size for size in known.shape if size != 1] for known in (row.leaf, row.slot))
    return file == model


def _may_be_turned(row: LoadRow) -> bool:
    """Return whether a square matrix has its axes of size 1 at the start on one side only.

    Flax and TensorFlow write a kernel of size 1 as (1, in, out), torch as (out, in, 1).
    """
    if row.leaf is None or row.slot is None:
        return False
    sizes = [size for size in row.slot.shape if size != 1]
    leads = [known.shape[:1] == (1,) for known in (row.leaf, row.slot)]
    return len(sizes) == 2 and sizes[0] == sizes[1] and leads[0] != leads[1]


def joined_axes(case: Case) -> Cause | None:
    """Return a cause if one side has axes joined, as the kernel of a convolution in one row.

    A file may join them in another order than torch does, as (height, width, in), so there is no
    line to paste.
    """
    rows = case.of(Outcome.SHAPE)
    found = [row for row in rows if _joins(row)]
    if not found or len(found) * 2 < len(rows):
        return None
    first = found[0]
    tensors = counted(len(found), "tensor has", "tensors have")
    return Cause(
        f"{tensors} axes joined on one side that are apart on the other ({first.key}: "
        f"{first.detail}); if they are joined in torch's order, which shapes do not show, load "
        f"with {_reshaping(found)}",
        "",
    )


def _reshaping(rows: list[LoadRow]) -> str:
    repair = "lambda leaf, slot: leaf.reshape(slot.shape)"
    listed = ", ".join(f"{python_literal(exactly(row.key))}: {repair}" for row in rows)
    return f"on_mismatch={{{listed}}}"


def _joins(row: LoadRow) -> bool:
    """Return whether one shape is the other with neighboring axes multiplied."""
    if row.leaf is None or row.slot is None:
        return False
    sides = [[size for size in known.shape if size != 1] for known in (row.leaf, row.slot)]
    short, long = sorted(sides, key=len)
    return bool(short) and len(short) < len(long) and _is_joined(short, long)


def _is_joined(short: list[int], long: list[int]) -> bool:
    """Return whether the sizes are products of those of the longer one, in order.

    >>> _is_joined([6, 36], [6, 4, 3, 3]), _is_joined([36, 6], [6, 4, 3, 3])
    (True, False)
    """
    sizes = iter(short)
    product, wanted = 1, next(sizes)
    for size in long:
        product *= size
        if product == wanted:
            product, wanted = 1, next(sizes, 0)
    return product == 1 and not wanted
