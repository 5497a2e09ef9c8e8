"""What lies beside the slots: computed buffers, made again where their owner can."""

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


def test_a_live_models_computed_buffers_are_its_own_business() -> None:
    model = Attention(torch.zeros(2))
    plan = plan_load(model, {"w": torch.ones(2), "mask": torch.zeros(3, 3)})
    assert plan.fits
    assert [row.outcome for row in plan.rows] == [Outcome.LOADED, Outcome.COMPUTED]
    plan.apply()
    assert torch.equal(model.mask, mask())


def test_what_an_attrs_class_declares_a_default_for_is_made_again() -> None:
    model = on_meta()
    assert model.mask.is_meta
    load_state_dict(model, {"w": torch.ones(2)}, strict=True, allow_missing="scale")
    assert torch.equal(model.mask, mask())


def test_what_an_old_file_has_of_it_is_loaded_where_there_is_nothing_else() -> None:
    model = on_meta()
    file = {"w": torch.ones(2), "mask": torch.full((3, 3), 5.0), "scale": torch.tensor(2.0)}
    load_state_dict(model, file, strict=True)
    assert (model.mask == 5).all()
    assert model.scale.item() == 2
