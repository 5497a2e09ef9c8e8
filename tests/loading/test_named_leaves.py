"""The file's leaves under the model's names: each change is noted, and no key is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.loading.named_leaves import NamedLeaves, by_own_keys, match_names
from caten_sd.state.state_dict import StateDict

plain = st.lists(st.sampled_from(["a", "b", "0", "w"]), min_size=1, max_size=3).map(".".join)


@given(st.sets(plain), st.sampled_from(["", "module.", "module._orig_mod."]))
def test_no_leaf_is_lost_and_every_key_is_known(slots: set[str], wrapper: str) -> None:
    file = {f"{wrapper}{slot}": object() for slot in sorted(slots)}
    found = match_names(NamedLeaves(dict(file)), slots.__contains__)
    assert set(found.leaves) == slots
    assert {found.key(name): leaf for name, leaf in found.leaves.items()} == file
    assert bool(found.notes) == bool(wrapper and slots)


def test_keys_without_a_slot_keep_their_names() -> None:
    found = match_names(NamedLeaves({"module.x": 1, "y": 2}), {"z"}.__contains__)
    assert found.leaves == {"module.x": 1, "y": 2}


def test_the_counter_of_averaged_model_belongs_to_the_wrapper() -> None:
    found = match_names(NamedLeaves({"n_averaged": 3, "module.w": 1}), {"w"}.__contains__)
    assert found.of_wrappers == {"n_averaged"}
    assert (
        match_names(NamedLeaves({"n_averaged": 3, "x": 1}), {"w"}.__contains__).of_wrappers == set()
    )


def test_renames_are_noted_and_the_files_keys_are_kept() -> None:
    source = StateDict({"old.w": 1, "b": 2})
    found = by_own_keys(source, {"old": ""})
    assert found.leaves == {"w": 1, "b": 2}
    assert [found.key(name) for name in found.leaves] == ["old.w", "b"]
    assert len(found.notes) == 1
    assert source.entry == {"old.w": 1, "b": 2}
    assert by_own_keys(source, {}).leaves == source.entry


@pytest.mark.parametrize(
    ("file", "note"),
    [
        (["module.w"], 'stripped "module." from 1 key'),
        (["module.w", "module.v"], 'stripped "module." from 2 keys'),
        (["u_g"], "1 key is in the other spelling of weight_norm or spectral_norm"),
        (["u_g", "u_v"], "2 keys are in the other spelling of weight_norm or spectral_norm"),
    ],
)
def test_notes_count_in_singular_and_plural(file: list[str], note: str) -> None:
    slots = {"w", "v", "parametrizations.u.original0", "parametrizations.u.original1"}
    named = NamedLeaves(dict.fromkeys(file, 0))
    assert match_names(named, slots.__contains__).notes == (note,)
