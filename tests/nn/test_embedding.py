from __future__ import annotations

import pytest
import torch

from caten_sd.errors import ModelError
from caten_sd.nn import Embedding


def test_agrees_with_torch(agree) -> None:
    ids = torch.tensor([[0, 3, 3], [9, 1, 0]])
    agree(Embedding(10, 4), torch.nn.Embedding(10, 4), ids)


def test_initial_rows_are_normal() -> None:
    weight = Embedding(500, 100).weight
    assert weight.mean().item() == pytest.approx(0, abs=0.02)
    assert weight.std().item() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("wrong", [10, -1])
def test_an_id_outside_the_table_is_named(wrong: int) -> None:
    with pytest.raises(ModelError, match=rf"{wrong}.*rows 0 to 9"):
        Embedding(10, 4)(torch.tensor([2, wrong]))
