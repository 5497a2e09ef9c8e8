"""What the picklers of other packages write is read, whatever functions lie next to the tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caten_sd import read_state_dict


def model() -> torch.nn.Module:
    """Return a model of a class that only its pickle has, with a function as an attribute."""

    class Local(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Linear(2, 3)
            self.scaled = lambda x: 2 * x

    return Local()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cloudpickle", "dill"])
@pytest.mark.parametrize("is_zip", [True, False])
def test_models_and_arrays_with_functions_next_to_them(
    name: str, is_zip: bool, tmp_path: Path
) -> None:
    pickler: Any = pytest.importorskip(name, reason=f"{name} is not installed")
    path, array = tmp_path / "a.pt", np.arange(6.0).reshape(2, 3)
    for value, keys in (
        (model(), ["inner.weight", "inner.bias"]),
        ({"w": array, "f": lambda x: x}, ["w"]),
    ):
        if is_zip:
            torch.save(value, path, pickle_module=pickler)
        else:
            path.write_bytes(pickler.dumps(value))
        with read_state_dict(path) as found:
            assert list(found) == keys
            expected = array if keys == ["w"] else value.inner.weight.detach().numpy()
            np.testing.assert_array_equal(found[keys[0]].numpy(), expected)
