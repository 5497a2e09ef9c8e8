from __future__ import annotations

import pytest

from caten_sd.errors import ModelError
from caten_sd.nn.sizes import as_sizes, require_sizes, spread_sizes


def test_one_size_or_several_become_a_tuple() -> None:
    assert as_sizes("LayerNorm", 3) == (3,)
    assert as_sizes("LayerNorm", [3, 4]) == (3, 4)


@pytest.mark.parametrize("size", [0, -1, 1.0, "3", None, True])
def test_an_impossible_size_is_named_with_its_model(size: object) -> None:
    with pytest.raises(ModelError, match=rf"Conv: width must be a positive integer, not {size!r}"):
        require_sizes("Conv", height=3, width=size)
    with pytest.raises(ModelError, match="dims must be a positive integer"):
        as_sizes("LayerNorm", [3, size])


def test_a_size_goes_to_each_axis() -> None:
    assert spread_sizes("Conv", "stride", 2, 3) == (2, 2, 2)
    assert spread_sizes("Conv", "stride", [1, 2], None) == (1, 2)
    with pytest.raises(ModelError, match=r"Conv: stride.*2 integers.*at least 1"):
        spread_sizes("Conv", "stride", (0, 1), 2)
    require_sizes("Transformer", 0, n_layers=0)
