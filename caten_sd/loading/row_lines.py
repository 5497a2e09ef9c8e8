"""The line of Python that loads a state dict through a layout with rows of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from caten_sd.errors import LayoutError
from caten_sd.mapping.patterns import Pattern
from caten_sd.state.quoting import python_literal

_CALLED = re.compile(r"\b[A-Za-z]\w*(?=\()")
LayoutRow = tuple[Sequence[str], Sequence[str], str]  # slots, keys, and the operation's text


def layout_line(rows: Sequence[LayoutRow]) -> str:
    """Return the line that loads through a layout with these rows, or "" if no row can say one.

    >>> for each in layout_line([(["w"], ["fc.kernel"], "Transpose()")]).split("; ")[:2]:
    ...     print(each)
    from caten_sd.layout import Layout, Row, Transpose
    layout = Layout("mine", [Row("w", "fc.kernel", Transpose())])
    """
    if not all(map(_is_plain, (name for slots, keys, _ in rows for name in (*slots, *keys)))):
        return ""
    listed = ", ".join(
        f"Row({_names(slots)}, {_names(keys)}{', ' if operation else ''}{operation})"
        for slots, keys, operation in rows
    )
    used = {"Layout", "Row"}.union(*(_CALLED.findall(operation) for *_, operation in rows))
    return (
        f"from caten_sd.layout import {', '.join(sorted(used))}; "
        f'layout = Layout("mine", [{listed}]); load_state_dict(model, to_layout(state_dict, '
        f"layout.canonical, from_layout=layout, silent=True))"
    )


def _is_plain(name: str) -> bool:
    """Return whether a row can say a name, and takes it for that name only."""
    try:
        return not Pattern(name).captures
    except LayoutError:
        return False


def _names(names: Sequence[str]) -> str:
    listed = ", ".join(map(python_literal, names))
    return listed if len(names) == 1 else f"({listed})"
