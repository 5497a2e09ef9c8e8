"""Which slots a class declares: their order, against dataclasses and torch, and their keys."""

from __future__ import annotations

import dataclasses
from collections import UserDict
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import StateDictError
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.report import Outcome
from caten_sd.objects.containers import computed, containers
from caten_sd.objects.declared_slots import declared_slots, slot_values
from caten_sd.objects.extract import get_state_dict, to_state_dict
from caten_sd.objects.slots import (
    KEY,
    SLOT,
    SlotKind,
    buffer,
    inlined,
    slot,
    slot_metadata,
    transient,
)
from caten_sd.state.keys import lisp_style_dict_key

Bases = list[tuple[list[str], list[int]]]  # for each class its own slots, and its bases

HIERARCHIES: st.SearchStrategy[Bases] = st.lists(
    st.tuples(
        st.lists(st.sampled_from("abcdef"), unique=True, min_size=1, max_size=4),
        st.lists(st.integers(0, 7), unique=True, max_size=3),
    ),
    min_size=1,
    max_size=6,
)


def made(hierarchy: Bases, make: Callable[[str, list[str], tuple[type, ...]], type]) -> type | None:
    """Return the last class; None if Python has no order for the bases of one of them."""
    classes: list[type] = []
    for at, (names, bases) in enumerate(hierarchy):
        chosen = tuple(classes[i] for i in bases if i < len(classes))
        try:
            classes.append(make(f"C{at}", names, chosen))
        except TypeError:
            return None
    return classes[-1]


def attrs_class(name: str, names: list[str], bases: tuple[type, ...], **options: Any) -> type:
    body = {"__annotations__": dict.fromkeys(names, Any), **{n: attrs.field() for n in names}}
    return attrs.define(type(name, bases, body), init=False, **options)


def data_class(name: str, names: list[str], bases: tuple[type, ...]) -> type:
    body = {"__annotations__": dict.fromkeys(names, Any)}
    return dataclasses.dataclass(init=False)(type(name, bases, body))


def torch_class(name: str, names: list[str], bases: tuple[type, ...]) -> type:
    def init(self: Any) -> None:
        super(cls, self).__init__()
        for each in names:
            setattr(self, each, torch.nn.Parameter(torch.zeros(1)))

    cls: Any = type(name, bases or (torch.nn.Module,), {"__init__": init})
    return cls


def filled(cls: type) -> Any:
    obj = cls()
    for each in declared_slots(cls):
        setattr(obj, each.name, np.zeros(1))
    return obj


@given(HIERARCHIES, st.sampled_from(["all", "none", "last"]))
def test_a_slot_declared_again_keeps_the_place_of_its_base(hierarchy: Bases, slots: str) -> None:
    # Two bases with __slots__ have no common layout, so only one base is taken there.
    hierarchy = [(names, bases[:1] if slots == "all" else bases) for names, bases in hierarchy]
    last = f"C{len(hierarchy) - 1}"

    def attrs_one(name: str, names: list[str], bases: tuple[type, ...]) -> type:
        slotted = slots == "all" or (slots == "last" and name == last)
        return attrs_class(name, names, bases, slots=slotted)

    ours = made(hierarchy, attrs_one)
    data, module = made(hierarchy, data_class), made(hierarchy, torch_class)
    assert (ours is None) == (data is None) == (module is None)
    if ours is not None and data is not None and module is not None:
        names = [field.name for field in dataclasses.fields(data)]
        assert list(get_state_dict(filled(ours))) == list(get_state_dict(filled(data))) == names
        assert list(module().state_dict()) == names


def test_a_plain_subclass_has_the_slots_of_its_attrs_base() -> None:
    @attrs.define(slots=False)
    class Base:
        p: Any = None
        q: Any = None

    @attrs.define(slots=False)
    class Sub(Base):
        w: Any = None
        p: Any = 1

    plain = type("Plain", (Sub,), {})
    for cls in (Sub, plain):
        assert [each.name for each in declared_slots(cls)] == ["p", "q", "w"]
        assert declared_slots(cls)[0].field.default == 1
    assert [field.name for field in attrs.fields(Sub)] == ["q", "w", "p"]  # attrs has another order


def test_an_order_that_a_field_transformer_chose_is_kept() -> None:
    def by_name(cls: type, fields: list[Any]) -> list[Any]:
        return sorted(fields, key=lambda field: field.name)

    @attrs.define
    class Base:
        q: Any = None

    @attrs.define(field_transformer=by_name)
    class Sub(Base):
        p: Any = None

    assert [each.name for each in declared_slots(Sub)] == ["p", "q"]


def test_attrs_classes_and_dataclasses_may_inherit_from_each_other() -> None:
    @dataclasses.dataclass(init=False)
    class First:
        p: Any
        q: Any

    @attrs.define(slots=False, init=False)
    class Second(First):
        r: Any
        p: Any = slot(key="x.p")

    @dataclasses.dataclass(init=False)
    class Third(Second):
        s: Any
        r: Any = dataclasses.field(metadata=slot_metadata(key="x.r"))

    assert list(get_state_dict(filled(First))) == ["p", "q"]
    assert list(get_state_dict(filled(Second))) == ["x.p", "q", "r"]
    assert list(get_state_dict(filled(Third))) == ["x.p", "q", "x.r", "s"]


@pytest.mark.parametrize("cls", [int, list, torch.nn.Linear, np.ndarray])
def test_other_classes_declare_none(cls: type) -> None:
    assert declared_slots(cls) == ()


@attrs.define
class Layer:
    weight: Any


KEYS = ["MLP.0", "a.b", "lambda", "c-attn", "w/x", "*star*", "0", "MLP.0.weight", "ключ"]


def declare(options: dict[str, Any], **keys: str) -> type:
    """Return a class with one slot for each name, under the declared key."""
    if options.pop("dataclass", False):
        fields = [
            (name, Any, dataclasses.field(default=None, metadata=slot_metadata(key=key)))
            for name, key in keys.items()
        ]
        return dataclasses.make_dataclass("Net", fields, **options)
    return attrs.make_class(
        "Net", {name: slot(key=key, default=None) for name, key in keys.items()}, **options
    )


@pytest.mark.parametrize("options", [{}, {"slots": True}, {"dataclass": True}])
@pytest.mark.parametrize("adopt", [False, True])
@pytest.mark.parametrize("key", KEYS)
def test_a_declared_key_is_honored_in_both_directions(
    options: dict[str, Any], adopt: bool, key: str
) -> None:
    cls = declare(dict(options), c_0=key, c_1="other")
    net = cls(Layer(np.zeros(2)), np.zeros(3))
    state = get_state_dict(net)
    assert list(state) == [f"{key}.weight", "other"]
    assert state.paths[f"{key}.weight"] == [key, "weight"]  # the key is one element
    load_state_dict(net, {f"{key}.weight": np.ones(2), "other": np.ones(3)}, strict=True)
    assert net.c_0.weight.sum() == 2
    new = {f"{key}.weight": np.full(2, 2.0), "other": np.full(3, 2.0)}
    load_state_dict(net, new, strict=True, assign=adopt)
    assert net.c_0.weight.sum() == 4
    assert net.c_1.sum() == 6
    assert np.shares_memory(net.c_1, new["other"]) == adopt


def test_lisp_folds_a_declared_key_as_it_folds_a_symbol() -> None:
    net = declare({}, c_0="MLP.0")(Layer(np.zeros(1)))
    assert list(get_state_dict(net, key_mapper=lisp_style_dict_key)) == ["mlp.0.weight"]


def test_two_slots_may_have_each_others_names() -> None:
    net = declare({}, a="b", b="a")(np.zeros(1), np.zeros(2))
    assert {key: leaf.shape for key, leaf in get_state_dict(net).items()} == {"b": (1,), "a": (2,)}
    load_state_dict(net, {"a": np.ones(2), "b": np.full(1, 5.0)}, strict=True, assign=True)
    assert (net.a.tolist(), net.b.tolist()) == ([5], [1, 1])


@pytest.mark.parametrize("options", [{}, {"dataclass": True}])
@pytest.mark.parametrize("values", [(np.zeros(1), np.zeros(1)), (Layer(np.zeros(1)), None)])
def test_two_slots_with_one_key_are_an_error_that_names_both(
    options: dict[str, Any], values: Any
) -> None:
    net = declare(options, first="x.y", second="x.y")(*values)
    for verb in (get_state_dict, lambda obj: plan_load(obj, {"x.y": np.zeros(1)})):
        with pytest.raises(StateDictError, match=r"first and second of Net.*'x\.y'"):
            verb(net)


def test_a_declared_key_may_not_be_the_name_of_another_slot() -> None:
    cls = attrs.make_class("Net", {"bias": attrs.field(), "other": slot(key="bias")})
    with pytest.raises(StateDictError, match=r"bias and other of Net.*'bias'"):
        get_state_dict(cls(np.zeros(1), np.zeros(1)))


@pytest.mark.parametrize(
    "fields",
    [
        {"MLP": attrs.field(), "other": slot(key="MLP.0")},
        {"MLP": slot(key="MLP"), "other": slot(key="MLP.0")},
    ],
)
def test_a_declared_key_that_meets_the_key_of_an_item_is_an_error(fields: dict[str, Any]) -> None:
    net = attrs.make_class("Net", fields)([Layer(np.zeros(1))], Layer(np.zeros(1)))
    with pytest.raises(StateDictError, match=r"'MLP', 0, .*'MLP\.0', .*'MLP\.0\.weight'"):
        get_state_dict(net)


def test_a_cache_may_have_the_name_that_a_slot_declares() -> None:
    cls = attrs.make_class("Net", {"x": transient(), "y": slot(key="x")})
    net = cls(np.zeros(1), np.zeros(1))
    load_state_dict(net, {"x": np.ones(1)}, strict=True, assign=True)
    assert (net.x.tolist(), net.y.tolist()) == ([0], [1])


@pytest.mark.parametrize("key", ["", ".", "..", "a..b", ".a", "a.", "a\nb", "\x00", "\ud800", 3])
def test_a_key_in_plain_metadata_is_checked_too(key: Any) -> None:
    data: Any = dataclasses.make_dataclass(
        "Net", [("first", Any, dataclasses.field(metadata={KEY: key}))]
    )
    with pytest.raises(StateDictError, match="first of Net") as caught:
        get_state_dict(data(np.zeros(1)))
    assert repr(key) in str(caught.value)


def test_a_kind_in_plain_metadata_is_checked_too() -> None:
    cls = attrs.make_class("Net", {"first": attrs.field(metadata={SLOT: "bufer"})})
    with pytest.raises(StateDictError, match=r"first of Net.*'bufer'"):
        get_state_dict(cls(np.zeros(1)))


PRINTABLE = st.characters(exclude_categories=("C", "Z"), exclude_characters=".") | st.just(" ")
SEGMENTS = st.text(PRINTABLE, min_size=1, max_size=6)


@given(st.lists(st.lists(SEGMENTS, min_size=1, max_size=3).map(".".join), min_size=1, unique=True))
def test_any_key_that_is_not_refused_is_saved_and_found_again(names: list[str]) -> None:
    fields = {f"slot_{at}": slot(key=name) for at, name in enumerate(names)}
    cls = attrs.make_class("Net", fields)
    model = cls(*(np.zeros(at) for at in range(1, len(names) + 1)))
    assert list(get_state_dict(model)) == names
    for adopt in (False, True):
        new = {name: np.full(at + 1, at + 1 + adopt) * 1.0 for at, name in enumerate(names)}
        load_state_dict(model, new, strict=True, assign=adopt)
        assert [leaf[0] for leaf in get_state_dict(model).values()] == [v[0] for v in new.values()]


def test_a_subclass_may_declare_another_key_or_none() -> None:
    base = attrs.make_class("Base", {"a": slot(key="x.1"), "b": slot(key="x.2")})
    sub = attrs.make_class("Sub", {"b": slot(key="y"), "a": attrs.field()}, bases=(base,))
    assert list(get_state_dict(base(np.zeros(1), np.zeros(1)))) == ["x.1", "x.2"]
    assert list(get_state_dict(sub(np.zeros(1), np.zeros(1)))) == ["a", "y"]


@pytest.mark.parametrize("dataclass", [False, True])
@pytest.mark.parametrize("kind", ["buffer", "computed", "cache"])
def test_buffers_and_caches_have_declared_keys_too(kind: SlotKind, dataclass: bool) -> None:
    if dataclass:
        field = dataclasses.field(metadata=slot_metadata(kind=kind, key="a.b"))
        cls: Any = dataclasses.make_dataclass("Net", [("w", Any), ("x", Any, field)])
    else:
        made = {
            "buffer": buffer(key="a.b"),
            "computed": buffer(persistent=False, key="a.b"),
            "cache": transient(key="a.b"),
        }
        cls = attrs.make_class("Net", {"w": attrs.field(), "x": made[kind]})
    net = cls(np.zeros(1), np.zeros(1))
    assert (SLOT, kind) in declared_slots(cls)[1].field.metadata.items()
    assert list(get_state_dict(net)) == (["w", "a.b"] if kind == "buffer" else ["w"])
    plan = plan_load(net, {"w": np.ones(1), "a.b": np.ones(1)})
    assert plan.fits
    outcome = {row.key: row.outcome for row in plan.rows}["a.b"]
    assert outcome is (Outcome.LOADED if kind == "buffer" else Outcome.COMPUTED)
    assert list(computed(next(iter(containers(net))))) == ([] if kind == "buffer" else ["a.b"])


def test_the_items_of_an_inlined_list_are_slots_of_the_owner() -> None:
    cls = attrs.make_class("Chain", {"items": inlined(), "w": attrs.field()})
    chain = cls([Layer(np.zeros(1)), None, np.zeros(2)], np.zeros(3))
    assert [path for path, _ in to_state_dict(chain, ["x"])] == [
        ["x", 0, "weight"],
        ["x", 2],
        ["x", "w"],
    ]
    assert [each.path for each in containers(chain)] == [[], [0]]
    new = {"0.weight": np.ones(1), "2": np.ones(2), "w": np.ones(3)}
    load_state_dict(chain, new, strict=True, assign=True)
    assert np.shares_memory(chain.items[2], new["2"])
    assert np.shares_memory(chain.items[0].weight, new["0.weight"])


@pytest.mark.parametrize("value", [np.zeros(2), {"a": np.zeros(1)}, None])
def test_an_inlined_slot_holds_a_list(value: Any) -> None:
    cls = attrs.make_class("Chain", {"items": inlined()})
    with pytest.raises(StateDictError, match="items of Chain holds") as caught:
        list(slot_values(cls(value)))
    assert type(value).__name__ in str(caught.value)


def test_two_inlined_lists_are_an_error() -> None:
    cls = attrs.make_class("Chain", {"left": inlined(), "right": inlined()})
    with pytest.raises(StateDictError, match="left and right of Chain"):
        get_state_dict(cls([np.zeros(1)], []))


def test_a_slot_of_a_class_that_is_a_mapping_gets_its_value_as_an_attribute() -> None:
    @attrs.define(slots=False, eq=False)
    class Weighted(UserDict):  # type: ignore[type-arg]
        first: Any = slot(key="a.b")
        second: Any = None

    obj, new = Weighted(np.zeros(1), np.zeros(1)), {"a.b": np.ones(1), "second": np.ones(1)}
    load_state_dict(obj, new, strict=True, assign=True)
    assert np.shares_memory(obj.first, new["a.b"])
    assert np.shares_memory(obj.second, new["second"])
