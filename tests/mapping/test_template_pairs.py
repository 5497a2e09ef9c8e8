"""Pairs of keys as pairs of templates."""

from __future__ import annotations

from caten_sd.mapping.key_templates import templates
from caten_sd.mapping.template_pairs import paired_templates, without_keys

A = templates({"h.0.w": (2,), "h.1.w": (2,), "wte": (3,)})
B = templates({"l.0.w": (2,), "l.1.w": (2,), "emb": (3,)})


def test_a_template_of_which_a_key_is_open_is_parted() -> None:
    pairs = paired_templates(A, B, {"h.1.w": "l.1.w", "wte": "emb"})
    assert [(a.text, b.text) for a, b in pairs] == [("h.1.w", "l.1.w"), ("wte", "emb")]
    assert [each.text for each in without_keys(A, {"h.1.w", "wte"})] == ["h.0.w"]


def test_what_no_key_leaves_is_as_it_was() -> None:
    assert without_keys(A, set()) == A
