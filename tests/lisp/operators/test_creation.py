from __future__ import annotations

import pytest
import torch

from caten_sd.errors import ModelError


def test_one_value_everywhere(run, keyword) -> None:
    made = run("!full", [2, torch.tensor(3)], float("-inf"))
    assert made.shape == (2, 3)
    assert (made == -torch.inf).all()
    assert run("!full", [2], 1, dtype=keyword("int64")).dtype == torch.int64


def test_indices(run) -> None:
    assert run("!index-components", [2, 3]).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert run("!index-components", torch.ones(1, 3, dtype=torch.int64)).dtype == torch.int64
    assert run("!gid", torch.ones(2, 3), 1).tolist() == [[0, 1, 2]] * 2
    assert run("!gid", torch.ones(2, 3), -2).tolist() == [[0] * 3, [1] * 3]


def test_strides_and_axes(run, keyword) -> None:
    assert run("!stride", keyword("row"), [2, 3, 4]) == [12, 4, 1]
    assert run("!stride", keyword("column"), [2, 3, 4]) == [1, 2, 6]
    assert run("!normalize-axis", 3, -1) == 2
    with pytest.raises(ModelError, match=r":diagonal is not an order.*:row"):
        run("!stride", keyword("diagonal"), [2])


def test_random_numbers(run) -> None:
    drawn = run("!uniform", [1000], low=2, high=4)
    assert 2 <= drawn.min() < 2.1 < 3.9 < drawn.max() < 4
    assert 0 <= run("!rand", [100]).min() < 0.1
    assert run("!normal", [10_000], mean=3, std=2).std().item() == pytest.approx(2, rel=0.1)
    assert run("!randn", [2, 3]).shape == (2, 3)
    assert set(run("!randint", [100], low=2, high=4).tolist()) == {2, 3}
