"""Find tensors that the file has in another orientation: transposed, or with axes of size 1."""

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
    if case.has_other_names:
        return Cause(text, "")
    repair = "lambda leaf, slot: leaf.reshape(slot.shape)"
    listed = ", ".join(f"{python_literal(exactly(row.key))}: {repair}" for row in rows)
    return Cause(text, f"load_state_dict(model, state_dict, on_mismatch={{{listed}}})")


def _differs_in_unit_axes(row: LoadRow) -> bool:
    if row.leaf is None or row.slot is None:
        return False
    file, model = ([size for size in known.shape if size != 1] for known in (row.leaf, row.slot))
    return file == model
