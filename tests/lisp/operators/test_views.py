from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import ModelError
from caten_sd.lisp.operators.views import view

X = torch.arange(24.0).reshape(2, 3, 4)


def test_an_integer_keeps_its_axis(run) -> None:
    assert torch.equal(run("!view", X, True, -1, True), X[:, 2:3])
    assert torch.equal(run("!view", X, 0, [1, 3], [0, -1, 2]), X[0:1, 1:3, 0:3:2])


def test_axes_of_size_1_are_repeated(run, keyword) -> None:
    one = X[:, :1]
    assert torch.equal(run("!view", one, True, [keyword("~"), 5], True), one.expand(2, 5, 4))
    with pytest.raises(ModelError, match="two views"):
        run("!view", one, 0, [keyword("~"), 5], True)


bounds = st.integers(-6, 6)


@given(bounds, bounds, st.integers(-3, 3).filter(bool))
def test_a_range_is_pythons(start: int, stop: int, step: int) -> None:
    x = torch.arange(6)
    first, last = (each + 6 if each < 0 else each for each in (start, stop))
    expected = list(range(first, last, step))
    if not expected or not 0 <= min(expected) <= max(expected) < 6:
        with pytest.raises(ModelError, match="0 to 5"):
            view(x, [start, stop, step])
    else:
        assert view(x, [start, stop, step]).tolist() == expected


def test_what_is_written_into_a_view_is_in_its_base(run) -> None:
    cache = torch.zeros(1, 5, 2)
    part = run("!assign", run("!view", cache, True, [1, 3], True), torch.ones(1, 2, 2))
    assert cache[0, :, 0].tolist() == [0, 1, 1, 0, 0]
    assert torch.equal(run("!view-from-base", part, True, [0, 3], True), cache[:, :3])
    nested = run("!view", part, True, 0, True)
    assert run("!view-from-base", nested, True, True, True).shape == (1, 5, 2)
    assert torch.equal(run("!view-from-base", X, 0, 0, 0), X[:1, :1, :1])
    assert run("!move", cache, 3) is cache
    with pytest.raises(ModelError, match=r"\(1, 2, 2\).*\(2, 2, 2\).*None"):
        run("!assign", torch.zeros(2, 2, 2), torch.ones(1, 2, 2))


def test_gradients_pass_what_is_assigned(run) -> None:
    source = torch.ones(1, 2, requires_grad=True)
    part = run("!assign", run("!view", torch.zeros(1, 5), True, [1, 3]), source)
    run("!view-from-base", part, True, [0, 3]).sum().backward()
    assert source.grad.tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("subscripts", "facts"),
    [
        ((0, 0), r"\(2, 3, 4\).*3 subscripts.*2"),
        ((2, 0, 0), "axis 0.*0 to 1"),
        (([0, 3, 0], 0, 0), "step"),
        (([0], 0, 0), r"1 items|\(from to\)"),
        (([1, 1], 0, 0), "axis 0"),
        (([0, 10**12], 0, 0), "axis 0"),  # at once: no range is gone through
        (([10**12, 0, -1], 0, 0), "axis 0"),
    ],
)
def test_impossible_subscripts_are_refused(run, subscripts, facts) -> None:
    with pytest.raises(ModelError, match=facts):
        run("!view", X, *subscripts)
