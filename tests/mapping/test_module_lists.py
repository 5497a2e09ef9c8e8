"""Lists of modules: their order, and whether two run alike."""

from __future__ import annotations

from caten_sd.mapping.module_lists import Listed, in_order, in_place
from caten_sd.mapping.name_trees import NameNode

OUTER = NameNode("m", (0, 0))


def nodes(*names: str) -> list[NameNode]:
    return [NameNode(f"m.{name}", (1, 0), OUTER) for name in names]


def listed(*names: str) -> list[Listed]:
    return [Listed(node, OUTER) for node in nodes(*names)]


def order(own: list[Listed], others: list[Listed], *known: tuple[str, str]) -> dict[str, str]:
    shown = [(listed(one)[0], listed(other)[0]) for one, other in known]
    return {a.name: b.name for a, b in in_order(own, others, shown)}


def test_numbers_are_in_their_order_and_not_in_that_of_their_digits() -> None:
    found = order(listed("h.10", "h.9"), listed("l.2.0", "l.1.1"))
    assert found == {"m.h.9": "m.l.1.1", "m.h.10": "m.l.2.0"}


def test_pairs_that_are_known_show_a_list_that_counts_back() -> None:
    found = order(listed("h.0", "h.1"), listed("l.2", "l.3"), ("h.2.w", "l.1.w"), ("h.3", "l.0"))
    assert found == {"m.h.0": "m.l.3", "m.h.1": "m.l.2"}


def test_lists_that_run_both_ways_have_no_order() -> None:
    known = ("h.2", "l.1"), ("h.3", "l.0"), ("h.4", "l.5")
    assert not order(listed("h.0", "h.1"), listed("l.2", "l.3"), *known)
    assert not order(listed("h.0", "h.x"), listed("l.2", "l.3"))
    assert not order(listed("h.0", "h.00"), listed("l.2", "l.3"))


def test_members_of_lists_as_long_as_each_other_keep_their_places() -> None:
    outer = NameNode("", (0, 0)), NameNode("", (0, 0))
    for node, start in zip(outer, "hl", strict=True):
        node.inner = [NameNode(f"{start}.{n}", (1, 0), node) for n in range(3)]
    here, there = outer[0].inner, outer[1].inner
    assert not list(in_place(outer, [(here[1], there[0]), (here[2], there[1])]))
    for right in ([(here[1], there[1])], [(here[0], there[2]), (here[2], there[0])]):
        assert list(in_place(outer, right)) == right
