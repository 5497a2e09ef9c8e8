"""Buffers that the model computes: not loaded, unless they are on the meta device."""

from __future__ import annotations

import attrs
import torch

from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.report import Outcome
from caten_sd.objects.slots import buffer


def mask() -> torch.Tensor:
    return torch.ones(3, 3).tril()


@attrs.define
class Attention:
    w: torch.Tensor
    mask: torch.Tensor = buffer(persistent=False, factory=mask)
    scale: torch.Tensor = buffer(
        persistent=False, default=attrs.Factory(lambda self: self.w.sum(), takes_self=True)
    )


def on_meta() -> Attention:
    with torch.device("meta"):
        return Attention(torch.zeros(2))


def test_computed_buffers_of_a_live_model_are_not_loaded() -> None:
    model = Attention(torch.zeros(2))
    plan = plan_load(model, {"w": torch.ones(2), "mask": torch.zeros(3, 3)})
    assert plan.fits
    assert [row.outcome for row in plan.rows] == [Outcome.LOADED, Outcome.COMPUTED]
    plan.apply()
    assert torch.equal(model.mask, mask())


def test_a_buffer_on_the_meta_device_gets_the_default_of_its_attrs_class() -> None:
    model = on_meta()
    assert model.mask.is_meta
    load_state_dict(model, {"w": torch.ones(2)}, strict=True, allow_missing="scale")
    assert torch.equal(model.mask, mask())


def test_a_buffer_on_the_meta_device_is_loaded_from_a_file_that_has_it() -> None:
    model = on_meta()
    file = {"w": torch.ones(2), "mask": torch.full((3, 3), 5.0), "scale": torch.tensor(2.0)}
    load_state_dict(model, file, strict=True)
    assert (model.mask == 5).all()
    assert model.scale.item() == 2
