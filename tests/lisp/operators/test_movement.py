from __future__ import annotations

import pytest
import torch

from caten_sd.errors import ModelError

X = torch.arange(24.0).reshape(2, 3, 4)


def same(found, expected) -> bool:
    return torch.equal(found, expected)


def test_shapes_are_lists_or_written_one_by_one(run) -> None:
    assert same(run("!reshape", X, 6, 4), X.reshape(6, 4))
    assert same(run("!reshape", X, [4, torch.tensor(6)]), X.reshape(4, 6))
    assert same(run("!permute", X, 2, 0, 1), X.permute(2, 0, 1))
    assert same(run("!permute", X, [2, 0, 1]), X.permute(2, 0, 1))
    assert same(run("!expand", X[:, :1], [5, 2, 3, 4]), X[:, :1].expand(5, 2, 3, 4))
    assert same(run("!repeat", X, 1, 2, 1), torch.cat((X, X), 1))


def test_nil_is_the_shape_of_one_element(run) -> None:
    assert run("!reshape", X[:1, :1, :1], None).shape == ()
    assert run("!full", None, 3).shape == ()


def test_axes_are_exchanged(run) -> None:
    assert same(run("!transpose", X, -1, -2), X.mT)
    assert same(run("!transpose", X), X.transpose(0, 1))
    assert same(run("!t", X), X.mT)


def test_axes_are_added_and_joined(run) -> None:
    assert run("!uprank", X, 2).shape == (1, 1, 2, 3, 4)
    assert same(run("!flatten", X), X.reshape(2, 12))
    assert same(run("!flatten", X, axis=2), X.reshape(6, 4))


def test_pieces_and_joins(run) -> None:
    pieces = run("!chunk", X, 3, dim=2)
    assert [each.shape[2] for each in pieces] == [2, 2]  # as in Caten, and in torch
    assert same(run("!concatenate", -1, *pieces), X)
    assert [each.shape[1] for each in run("!split", X, 2, dim=1)] == [2, 1]
    assert [each.shape[1] for each in run("!split", X, [1, 2], dim=1)] == [1, 2]


def test_copies(run) -> None:
    assert run("!contiguous", X) is X
    for made in (run("!copy", X), run("!contiguous", X, force=True)):
        assert same(made, X)
        assert made.data_ptr() != X.data_ptr()


def test_padding(run) -> None:
    padded = run("!padding", X, [True, [1, torch.tensor(0)], [0, 2]], value=7)
    assert padded.shape == (2, 4, 6)
    assert (padded[:, 0] == 7).all()
    assert run("!padding2d", X, [1, 2, 0, 3]).shape == (2, 6, 7)


@pytest.mark.parametrize(
    ("name", "arguments", "facts"),
    [
        ("!reshape", (X, 6, -1), "-1 is not a size"),
        ("!reshape", (X, 6, 4.5), "4.5d0 is not a size"),
        ("!transpose", (X, 3, 0), r"\(2, 3, 4\).*axis 3.*-3 to 2"),
        ("!concatenate", (0,), "at least one tensor"),
        ("!padding", (X, 3), "3 is not a list of paddings"),
        ("!padding2d", (X, None), "nil is not a list of sizes"),
        ("!t", (X, 1), r"write \(!t x\)"),
        ("!flatten", (X, 1), r"write \(!flatten x &key axis\)"),
    ],
)
def test_what_does_not_fit_is_refused(run, name, arguments, facts) -> None:
    with pytest.raises(ModelError, match=facts):
        run(name, *arguments)
