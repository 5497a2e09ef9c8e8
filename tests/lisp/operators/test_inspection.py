from __future__ import annotations

import pytest
import torch

from caten_sd.errors import ModelError

X = torch.ones(2, 3)


def test_what_a_tensor_is(run) -> None:
    assert run("shape", X) == run("tensor-shape", X) == [2, 3]
    assert run("shape", torch.tensor(1)) is None  # the empty list is nil
    assert run("ndim", X) == 2
    assert [str(run(name, X)) for name in ("dtype-of", "order")] == [":float32", ":row"]
    assert str(run("tensor-dtype", torch.tensor(1))) == ":int64"
    assert [run("tensor-p", each) for each in (X, 1, None)] == [True, None, None]
    with pytest.raises(ModelError, match="complex64"):
        run("dtype-of", X.to(torch.complex64))


def test_axes_are_counted_from_the_first(run) -> None:
    assert run("normalize-axis", X, -1) == 1
    assert run("normalize-axes", X, [-1, 0]) == [1, 0]
