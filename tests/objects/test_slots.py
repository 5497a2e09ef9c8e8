from __future__ import annotations

import sys
from subprocess import run

import attrs
import pytest

from caten_sd.objects.slots import SLOT, buffer, slot_kind, transient


@attrs.define
class Model:
    weight: object
    mask: object = buffer()
    table: object = buffer(persistent=False, default=None)
    cache: object = transient(default=None, metadata={"note": "mine"})


@pytest.mark.parametrize(
    ("name", "kind"),
    [("weight", "state"), ("mask", "buffer"), ("table", "computed"), ("cache", "transient")],
)
def test_slot_kind_is_what_was_declared(name: str, kind: str) -> None:
    assert slot_kind(attrs.fields_dict(Model)[name]) == kind


def test_other_options_are_those_of_attrs_field() -> None:
    model = Model(1, 2)
    assert (model.mask, model.table, model.cache) == (2, None, None)
    assert attrs.fields(Model).cache.metadata == {"note": "mine", SLOT: "transient"}


def test_a_declaration_is_inherited() -> None:
    @attrs.define
    class Sub(Model):
        more: object = None

    assert slot_kind(attrs.fields(Sub).mask) == "buffer"


def test_slots_need_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, caten_sd.objects.slots;"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0
