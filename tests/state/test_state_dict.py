"""StateDict: a mapping that remembers paths and ties, and prints as Caten prints it."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch

from caten_sd import StateDict, StateDictError, get_state_dict
from caten_sd.nn import Transformer
from caten_sd.state.keys import Name
from caten_sd.state.leaf import Opaque
from caten_sd.state.state_dict import as_state_dict, find_ties, shape_text

LISTING = (Path(__file__).parents[1] / "data" / "caten_listing.txt").read_text()

W = np.zeros((2, 3), "f4")
B = np.zeros(2, "f8")


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_it_is_a_mapping_in_order() -> None:
    state = StateDict({"b": W, "a": B})
    assert list(state) == list(state.keys()) == ["b", "a"]
    assert [leaf is own for leaf, own in zip(state.values(), (W, B), strict=True)] == [True, True]
    assert dict(state.items()).keys() == {"a", "b"}
    assert state["a"] is B
    assert (len(state), "a" in state, "c" in state, state.get("c")) == (2, True, False, None)
    with pytest.raises(KeyError):
        state["c"]


def test_entry_is_a_plain_dict_of_its_own() -> None:
    given = {"w": W}
    state = StateDict(given)
    assert type(state.entry) is dict
    state.entry["b"] = B
    assert list(state) == ["w", "b"]
    assert list(given) == ["w"]
    assert list(StateDict(iter([("w", W)]))) == ["w"]


def test_torch_and_transformers_take_it_as_a_state_dict() -> None:
    source, target = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    target.load_state_dict(get_state_dict(source))
    assert torch.equal(target.weight, source.weight)


def test_metadata_and_others_are_copies() -> None:
    metadata = {"format": "pt"}
    state = StateDict({}, metadata=metadata, others=metadata)
    state.metadata["more"] = state.others["more"] = "x"
    assert metadata == {"format": "pt"}


def test_paths_are_those_given_or_the_keys_split() -> None:
    given = [["h", 0], ["w"]]
    by_key = StateDict({"h.0": W, "w": B}, paths={"h.0": given[0], "w": given[1]})
    in_order = StateDict({"h.0": W, "w": B}, paths=given)
    assert by_key.paths == in_order.paths == {"h.0": ["h", 0], "w": ["w"]}
    assert StateDict({"h.0.x-y": W, "": B}).paths == {"h.0.x-y": ["h", 0, "x-y"], "": [""]}


def test_paths_stay_with_their_keys_when_the_entry_is_changed() -> None:
    state = StateDict({"a": W, "b": B}, paths=[["first"], ["second"]])
    del state.entry["a"]
    assert state.paths["b"] == ["second"]


def test_ties_are_found_by_identity_among_leaves() -> None:
    assert StateDict({"a": W, "b": B, "c": W, "d": W}).ties == {"c": "a", "d": "a"}
    assert StateDict({"a": W, "b": W.copy()}).ties == {}
    assert StateDict({"a": W, "b": W}, ties={}).ties == {}
    assert find_ties({"a": None, "b": None, "c": "text", "d": "text"}) == {}


@pytest.mark.parametrize("mapping", [{"w": W}, OrderedDict(w=W), MappingProxyType({"w": W})])
def test_any_mapping_of_leaves_is_taken(mapping: Any) -> None:
    state = as_state_dict(mapping)
    assert list(state) == ["w"]
    assert as_state_dict(state) is state


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.nn.Linear(1, 1), r"Linear; pass get_state_dict\(obj\)"),
        ([("w", W)], "not a list"),
        ("model.safetensors", r"str; .* read_state_dict\(path\) for a file"),
        ({"w": W, 3: B}, "key 3 is of type int; make every key a string"),
        ({None: W}, "the key None is of type NoneType"),
    ],
)
def test_what_is_not_a_state_dict_is_refused(given: Any, message: str) -> None:
    with pytest.raises(StateDictError, match=message):
        as_state_dict(given)


def test_it_prints_as_caten_prints_it() -> None:
    state = StateDict({"wte.weight": W, "b": B, "step": np.zeros(())})
    assert str(state) == (
        "#<STATE-DICT\n{\nwte.weight -> (2 3)\nb          -> (2)\nstep       -> ()\n} "
        f"{{{id(state):X}}}>"
    )
    assert str(StateDict({})).startswith("#<STATE-DICT\n{\n} {")


def test_the_documented_listing_is_reproduced() -> None:
    printed = str(get_state_dict(Transformer(32, 2, 2, 1e-5, 32))).splitlines()
    assert printed[:2] == ["#<STATE-DICT", "{"]
    assert words("\n".join(printed[2:-1])) == words(LISTING)
    assert printed[-1].startswith("} {")
    assert len({line.index(" -> ") for line in printed[2:-1]}) == 1


def test_a_notebook_shows_a_table() -> None:
    state = StateDict({"a<b": W, "tied": W, "extra": {"x": 1}})
    html = state._repr_html_()
    assert "<p>StateDict, 3 keys</p>" in html
    assert "<caption>tensors (2)</caption>" in html
    assert "<td>a&lt;b</td><td>[2, 3] float32; 24 B</td>" in html
    assert "<td>tied</td><td>[2, 3] float32; tied to a&lt;b</td>" in html
    assert "<td>extra</td><td>&lt;dict&gt;</td>" in html


def test_a_notebook_shows_many_tensors_by_their_patterns() -> None:
    page = StateDict({f"h.{i}.w": W for i in range(3_000)}, ties={})._repr_html_()
    assert "<td>h.{0..2999}.w x3000</td><td>[2, 3] float32; 72.0 kB</td>" in page
    assert page.count("<tr>") == 1


@pytest.mark.parametrize(
    ("leaf", "shape"),
    [
        (W, "(2 3)"),
        (torch.zeros(4, dtype=torch.bfloat16), "(4)"),
        (np.zeros(()), "()"),
        (None, "<NoneType>"),
        ({"a": 1}, "<dict>"),
        (Opaque("torch.optim.Adam"), "<torch.optim.Adam>"),
        (torch.nn.LazyLinear(1).weight, "<UninitializedParameter>"),
    ],
)
def test_shapes_as_text(leaf: Any, shape: str) -> None:
    assert shape_text(leaf) == shape


def test_it_closes_what_it_was_read_from() -> None:
    closed = []
    with StateDict({}, close=lambda: closed.append(True)):
        assert not closed
    assert closed == [True]
    StateDict({}).close()


def test_a_name_is_text() -> None:
    name = Name("in-proj")
    assert (name, name == "in-proj", {name: 1}["in-proj"]) == ("in-proj", True, 1)


def test_a_page_shows_hostile_keys_as_text() -> None:
    key, first = "<script>\x1b\u202e", "<b>\n&"
    leaf = np.zeros(1, np.float32)
    page = StateDict({first: leaf, key: leaf, "o": Opaque("<i>\x1b")})._repr_html_()
    assert page.isprintable()
    assert not any(tag in page for tag in ("<script", "<b>", "<i>"))
    assert page.count("&lt;b&gt;\\n&amp;") == 2  # as a key, and as what is tied to
    text = repr(StateDict({key: leaf, "o": Opaque("\x1b\n")}))
    assert text.replace("\n", "").isprintable()
