"""The line of Python that loads a state dict through a layout with rows of its own."""

from __future__ import annotations

from collections.abc import Sequence

from caten_sd.state.quoting import python_literal

_RESERVED = frozenset("{}")  # they begin and end a capture in a row
LayoutRow = tuple[Sequence[str], Sequence[str], str]  # slots, keys, and the operation's text


def layout_line(rows: Sequence[LayoutRow]) -> str:
    """Return the line that loads through a layout with these rows, or "" if no row can say one.

    >>> layout_line([(["fc.weight"], ["fc.kernel"], "Transpose()")]).partition(";")[0]
    'layout = Layout("mine", [Row("fc.weight", "fc.kernel", Transpose())])'
    """
    if any(_RESERVED & set("".join((*slots, *keys))) for slots, keys, _ in rows):
        return ""
    listed = ", ".join(
        f"Row({_names(slots)}, {_names(keys)}{', ' if operation else ''}{operation})"
        for slots, keys, operation in rows
    )
    return (
        f'layout = Layout("mine", [{listed}]); load_state_dict(model, to_layout(state_dict, '
        f"layout.canonical, from_layout=layout, silent=True))"
    )


def _names(names: Sequence[str]) -> str:
    listed = ", ".join(map(python_literal, names))
    return listed if len(names) == 1 else f"({listed})"
