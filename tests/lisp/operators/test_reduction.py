from __future__ import annotations

import numpy as np
import pytest
import torch

from caten_sd.errors import ModelError

X = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
BY_NUMPY = {"!sum": np.sum, "!mean": np.mean, "!max": np.max, "!min": np.min}


@pytest.mark.parametrize("axis", [None, 0, -1, [0, 2], [-1]])
@pytest.mark.parametrize("name", BY_NUMPY)
def test_an_axis_that_is_reduced_stays_with_size_1(run, name, axis) -> None:
    options = {} if axis is None else {"axis": axis}
    axes = tuple(axis) if isinstance(axis, list) else axis
    expected = torch.from_numpy(np.asarray(BY_NUMPY[name](X.numpy(), axis=axes, keepdims=True)))
    torch.testing.assert_close(run(name, X, **options), expected)
    kept = run(name, X, **options, keepdims=True)
    torch.testing.assert_close(kept, expected.expand(X.shape))


def test_the_variance_is_that_of_a_sample(run) -> None:
    torch.testing.assert_close(run("!variance", X), X.var(-1, keepdim=True))
    torch.testing.assert_close(run("!std", X, axis=True), X.std((0, 1, 2), keepdim=True))
    torch.testing.assert_close(
        run("!variance", X, axis=[0, 1], correction=0, keepdims=True),
        X.var((0, 1), correction=0, keepdim=True).expand(X.shape),
    )


def test_indices_of_the_largest_and_the_least(run) -> None:
    assert torch.equal(run("!argmax", X), X.argmax(-1, keepdim=True))
    assert torch.equal(run("!argmin", X, axis=1), X.argmin(1, keepdim=True))
    assert run("!argmax", X, axis=0, keepdims=True).shape == X.shape


def test_matrices(run) -> None:
    torch.testing.assert_close(run("!matmul", X, X[0].T), X @ X[0].T)
    for name, function in (("!triu", torch.triu), ("!tril", torch.tril)):
        assert torch.equal(run(name, X), function(X))
        assert torch.equal(run(name, X, diagonal=torch.tensor(1)), function(X, diagonal=1))


def test_of_no_axis_nothing_is_reduced(run) -> None:
    assert torch.equal(run("!sum", X, axis=None), X)
    assert run("!max", torch.tensor(3.0)).item() == 3
    with pytest.raises(ModelError, match="without axes"):
        run("!argmax", torch.tensor(3.0))


def test_an_axis_that_is_not_there_is_refused(run) -> None:
    with pytest.raises(ModelError, match=r"\(2, 3, 4\).*axis 3.*-3 to 2"):
        run("!sum", X, axis=3)
    with pytest.raises(ModelError, match=r"write \(!sum x &key axis keepdims\)"):
        run("!sum", X, keepdim=True)
