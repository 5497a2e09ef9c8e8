"""A table as HTML, for a notebook, in which a text of a file is text and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from caten_sd.errors.printable import one_line


def html_table(caption: str, rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Return a table with a row for each of ``rows``.

    >>> html_table("", [("w", "<b>\\x1b")])
    '<table><tbody><tr><td>w</td><td>&lt;b&gt;\\\\x1b</td></tr></tbody></table>'
    """
    titles = f"<thead>{_row(head, 'th')}</thead>" if head else ""
    top = f"<caption>{_text(caption)}</caption>" if caption else ""
    body = "".join(_row(row, "td") for row in rows)
    return f"<table>{top}{titles}<tbody>{body}</tbody></table>"


def _row(texts: Sequence[str], cell: str) -> str:
    return f"<tr>{''.join(f'<{cell}>{_text(text)}</{cell}>' for text in texts)}</tr>"


def _text(text: str) -> str:
    return escape(one_line(text))
