"""What a file offers under the model's names, each change noted, no key lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from caten_sd.loading.named_leaves import NamedLeaves, match_names, offer
from caten_sd.state.state_dict import StateDict

plain = st.lists(st.sampled_from(["a", "b", "0", "w"]), min_size=1, max_size=3).map(".".join)


@given(st.sets(plain), st.sampled_from(["", "module.", "module._orig_mod."]))
def test_no_leaf_is_lost_and_every_key_is_known(slots: set[str], wrapper: str) -> None:
    file = {f"{wrapper}{slot}": object() for slot in sorted(slots)}
    found = match_names(NamedLeaves(dict(file)), slots.__contains__)
    assert set(found.leaves) == slots
    assert {found.key(name): leaf for name, leaf in found.leaves.items()} == file
    assert bool(found.notes) == bool(wrapper and slots)


def test_keys_that_name_nothing_keep_their_names() -> None:
    found = match_names(NamedLeaves({"module.x": 1, "y": 2}), {"z"}.__contains__)
    assert found.leaves == {"module.x": 1, "y": 2}


def test_what_averaged_model_counts_is_its_own() -> None:
    found = match_names(NamedLeaves({"n_averaged": 3, "module.w": 1}), {"w"}.__contains__)
    assert found.of_wrappers == {"n_averaged"}
    assert (
        match_names(NamedLeaves({"n_averaged": 3, "x": 1}), {"w"}.__contains__).of_wrappers == set()
    )


def test_the_callers_state_dict_is_not_touched() -> None:
    source = StateDict({"old.w": 1})
    found = offer(source, {"old": ""})
    del found.leaves["w"]
    assert source.entry == {"old.w": 1}
    plain = offer(source, {})
    plain.leaves.clear()
    assert source.entry == {"old.w": 1}
