from __future__ import annotations

import sys
from subprocess import run

import attrs
import pytest

from caten_sd.errors import ModelError
from caten_sd.objects.slots import (
    KEY,
    SLOT,
    buffer,
    inlined,
    slot,
    slot_kind,
    slot_metadata,
    transient,
)


@attrs.define
class Model:
    weight: object
    mask: object = buffer()
    table: object = buffer(persistent=False, default=None)
    cache: object = transient(default=None, metadata={"note": "mine"})


@pytest.mark.parametrize(
    ("name", "kind"),
    [("weight", "state"), ("mask", "buffer"), ("table", "computed"), ("cache", "cache")],
)
def test_slot_kind_is_what_was_declared(name: str, kind: str) -> None:
    assert slot_kind(attrs.fields_dict(Model)[name]) == kind


def test_other_options_are_those_of_attrs_field() -> None:
    model = Model(1, 2)
    assert (model.mask, model.table, model.cache) == (2, None, None)
    assert attrs.fields(Model).cache.metadata == {"note": "mine", SLOT: "cache"}


def test_a_declaration_is_inherited() -> None:
    @attrs.define
    class Sub(Model):
        more: object = None

    assert slot_kind(attrs.fields(Sub).mask) == "buffer"


@pytest.mark.parametrize("declare", [slot, buffer, transient, slot_metadata])
@pytest.mark.parametrize(
    "key", ["", ".", "..", "a..b", ".a", "a.", "a\nb", "\x00", "a\x7f", "\u202e", "\ud800", 0, b"a"]
)
def test_a_key_that_no_file_could_have_is_refused_when_the_class_is_made(declare, key) -> None:
    with pytest.raises(ModelError) as caught:
        declare(key=key)
    assert repr(key) in str(caught.value)


def test_a_kind_that_there_is_not_is_refused() -> None:
    with pytest.raises(ModelError, match=r"'bufer' .* buffer, computed"):
        slot_metadata(kind="bufer")  # type: ignore[arg-type]


def test_a_key_and_a_kind_and_other_metadata_stand_together() -> None:
    cls = attrs.make_class(
        "Net",
        {
            "a": slot(key="MLP.0", metadata={"note": "mine"}, default=3),
            "b": buffer(key="a.b", default=4),
            "c": inlined(metadata={"note": "mine"}, factory=list),
        },
    )
    a, b, c = attrs.fields(cls)
    assert a.metadata == {"note": "mine", SLOT: "state", KEY: "MLP.0"}
    assert b.metadata == {SLOT: "buffer", KEY: "a.b"}
    assert c.metadata == {"note": "mine", KEY: None}
    assert (cls().a, cls().b, cls().c) == (3, 4, [])
    assert slot_metadata(kind="computed") == {SLOT: "computed"}


def test_slots_need_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, caten_sd.objects.slots;"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0
