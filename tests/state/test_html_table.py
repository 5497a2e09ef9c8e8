"""A table of a notebook is well formed, and holds texts of a file as texts."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from caten_sd.errors.printable import one_line
from caten_sd.state.html_table import html_table
from tests.hostile_texts import TEXTS


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_any_text_is_text_in_it(text: str) -> None:
    tree = ElementTree.fromstring(html_table(text, [(text, "b"), ("c",)], (text, "d")))
    assert [each.tag for each in tree] == ["caption", "thead", "tbody"]
    shown = one_line(text)
    assert [each.text for each in tree.iter() if each.text] == [shown, shown, "d", shown, "b", "c"]


def test_what_is_not_given_is_not_there() -> None:
    assert html_table("", []) == "<table><tbody></tbody></table>"
