"""Text of a file does nothing to a screen, and no part of a message pushes another out."""

from __future__ import annotations

import pickle
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import CatenError, FormatError, LayoutWarning, LoadError, LoadWarning
from caten_sd.errors.printable import escaped, lines, one_line, printable

HOSTILE = "\x1b[2J\x07\x9b31m\u202e\u2066\u200b\ufeff\u2028\u2029\x85\r\x00\x7f\udc80\ud800"
texts = st.text(st.characters(codec=None))


@given(texts)
def test_nothing_is_left_that_a_screen_obeys(text: str) -> None:
    for show in (escaped, one_line, printable):
        assert show(text).isprintable()
        assert show(show(text)) == show(text)
    assert lines(text).replace("\n", "").isprintable()


@given(st.text(string.ascii_letters + string.digits + string.punctuation + " äß漢é"))
def test_what_prints_stays_as_it_is(text: str) -> None:
    assert escaped(text) == one_line(text) == lines(text) == text
    assert not text or printable(text) == text


@pytest.mark.parametrize("char", list(HOSTILE))
def test_every_kind_of_control_is_escaped(char: str) -> None:
    assert escaped(char) == repr(char)[1:-1]


@given(texts, st.integers(3, 40))
def test_a_long_text_keeps_both_ends(text: str, most: int) -> None:
    cut = one_line(text, most)
    assert len(cut) <= most
    assert len(escaped(text)) <= most or "…" in cut


def test_a_megabyte_in_one_part_of_an_error_leaves_the_others_whole() -> None:
    long = "x\x1b" * 1_000_000
    assert str(FormatError(long, "it is cut", "get it again")).endswith(": it is cut; get it again")
    message = str(FormatError("w.pt", long, "get it again"))
    assert message.startswith("w.pt: ")
    assert message.endswith("; get it again")
    assert len(message) < 4_000


@pytest.mark.parametrize("kind", [CatenError, LoadError])
def test_a_message_is_one_line(kind: type[CatenError]) -> None:
    assert str(kind(f"a\nfix: b{HOSTILE}")).isprintable()


@pytest.mark.parametrize(
    "made",
    [
        LoadError(f"a{HOSTILE}\nb", plan=[]),
        LoadWarning(f"a{HOSTILE}\nb"),
        LayoutWarning(f"a{HOSTILE}\nb"),
    ],
)
def test_a_message_that_shows_a_report_keeps_its_lines(made: Exception) -> None:
    first, second = str(made).split("\n")
    assert first.isprintable()
    assert second == "b"


def test_the_facts_of_an_error_stay_as_they_are_for_programs() -> None:
    error = FormatError(HOSTILE, "it is cut", HOSTILE)
    assert (error.source, error.remedy) == (HOSTILE, HOSTILE)


@pytest.mark.parametrize("error", [FormatError("w", "it is cut", "get it"), LoadError("m", [1])])
def test_an_error_reaches_another_process(error: CatenError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
