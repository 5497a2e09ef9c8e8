"""Find tensors that the file has in another orientation: transposed, or with axes of size 1."""

from __future__ import annotations

from collections.abc import Mapping

from caten_sd.loading.misfit import Case, Cause, Shape, shapes_of
from caten_sd.loading.policy import exactly
from caten_sd.loading.report import LoadRow, Outcome
from caten_sd.state.grouping import few_keys
from caten_sd.state.quoting import python_literal
from caten_sd.wording import counted

_ORDERS = {2: (1, 0), 3: (2, 1, 0), 4: (3, 2, 0, 1), 5: (4, 3, 0, 1, 2)}
_RESERVED = frozenset("{}")
_PLAIN = {"kernel": "weight", "scale": "weight", "embedding": "weight"}


def turned_matrices(case: Case) -> Cause | None:
    """Return a cause if matrices are transposed, in a layout that is not known."""
    rows = case.of(Outcome.SHAPE)
    found = [row.key for row in rows if _is_transposed(row)]
    if not found or len(found) * 2 < len(rows):
        return None
    text = f"{counted(len(found), 'matrix is', 'matrices are')} transposed in the file"
    square = [key for key, shape in shapes_of(case.file).items() if _is_square(shape)]
    if square:
        return Cause(
            f"{text} ({few_keys(found, 2)}); square matrices may be too, which their shape cannot "
            f"show ({few_keys(square, 2)}), so give each one a row in a Layout",
            "",
        )
    turned = {row.key: row.source or row.key for row in rows if _is_transposed(row)}
    exact = all(map(_is_transposed, rows))
    return Cause(
        f"{text} ({few_keys(found, 2)})",
        _layout_line({key: (source, (1, 0)) for key, source in turned.items()}) if exact else "",
    )


def _is_transposed(row: LoadRow) -> bool:
    return bool(
        row.leaf
        and row.slot
        and len(row.leaf.shape) == 2
        and row.leaf.shape == row.slot.shape[::-1]
    )


def _is_square(shape: Shape) -> bool:
    return len(shape) == 2 and shape[0] == shape[1] > 1


def flax_kernels(case: Case) -> Cause | None:
    """Return a cause if the file has kernels, as Flax and Keras have, for the model's weights."""
    file, model = case.shapes(Outcome.UNEXPECTED), case.shapes(Outcome.MISSING)
    rows: dict[str, tuple[str, tuple[int, ...]]] = {}
    for key in file:
        stem, _, last = key.rpartition(".")
        if last in _PLAIN:
            slot = f"{stem}.{_PLAIN[last]}" if stem else _PLAIN[last]
            order = _ORDERS.get(len(file[key]), ()) if last == "kernel" else ()
            if model.get(slot) == _ordered(file[key], order):
                rows[slot] = (key, order)
    kernels = [key for key, order in rows.values() if order]
    if not kernels or rows.keys() != model.keys():
        return None
    text = f"{counted(len(kernels), 'kernel')} of the file ({few_keys(kernels, 2)})"
    clear = all(_is_clear(file[key]) for key in kernels)
    unsure = "" if clear else "; a kernel of a transposed convolution would look the same"
    return Cause(
        f"{text} have their axes in the order of Flax: a kernel is a transposed weight{unsure}",
        _layout_line(rows) if clear else "",
    )


def _ordered(shape: Shape, order: tuple[int, ...]) -> Shape:
    return tuple(shape[axis] for axis in order) if order else shape


def _is_clear(kernel: Shape) -> bool:
    """Return whether the shape tells a convolution from a transposed one."""
    return len(kernel) == 2 or kernel[-1] != kernel[-2]


def _layout_line(rows: Mapping[str, tuple[str, tuple[int, ...]]]) -> str:
    """Return the line that loads through a layout with these rows: slot, key and order of axes."""
    if any(_RESERVED & set(f"{slot}{key}") for slot, (key, _) in rows.items()):
        return ""
    listed = ", ".join(
        f"Row({python_literal(slot)}, {python_literal(key)}{_operation(order)})"
        for slot, (key, order) in rows.items()
    )
    return (
        f'layout = Layout("mine", [{listed}]); load_state_dict(model, to_layout(state_dict, '
        f"layout.canonical, from_layout=layout, silent=True))"
    )


def _operation(order: tuple[int, ...]) -> str:
    """Return what a row says for an order: a row goes from the slot to the key, so its inverse."""
    if not order:
        return ""
    inverse = tuple(order.index(axis) for axis in range(len(order)))
    return ", Transpose()" if len(order) == 2 else f", Transpose({inverse})"


def unit_axes(case: Case) -> Cause | None:
    """Return a cause if shapes differ only in axes of size 1, as a linear layer and a 1x1 conv."""
    rows = case.of(Outcome.SHAPE)
    if not rows or not all(map(_differs_in_unit_axes, rows)):
        return None
    tensors = counted(len(rows), "tensor differs", "tensors differ")
    repair = "lambda leaf, slot: leaf.reshape(slot.shape)"
    listed = ", ".join(f"{python_literal(exactly(row.key))}: {repair}" for row in rows)
    return Cause(
        f"{tensors} only in axes of size 1 ({few_keys([row.key for row in rows], 2)})",
        f"load_state_dict(model, state_dict, on_mismatch={{{listed}}})",
    )


def _differs_in_unit_axes(row: LoadRow) -> bool:
    if row.leaf is None or row.slot is None:
        return False
    file, model = ([size for size in known.shape if size != 1] for known in (row.leaf, row.slot))
    return file == model
