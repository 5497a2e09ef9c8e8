"""A module of Python defines what it needs first, in whatever order the Lisp has it."""

from __future__ import annotations

import itertools

import pytest
import torch

from caten_sd.lisp.port.ported_module import port
from tests.lisp.port.modules import module_of, shapes

DEFINITIONS = (
    "(defparameter *width* 3)",
    "(defmodel (Net (&key (n *width*))) ((fc (Linear n 2))))",
    "(defclass Wide (Net) ((out :initform (Linear 2 1))))",
    "(defcall (self Net) (X[~]) (call (slot-value self 'fc) x))",
)


@pytest.mark.parametrize("order", list(itertools.permutations(DEFINITIONS)))
def test_in_any_order(order: tuple[str, ...]) -> None:
    module = module_of("\n".join(order))
    assert [key for key, _ in shapes(module.Wide())] == [
        "fc.weight",
        "fc.bias",
        "out.weight",
        "out.bias",
    ]
    assert module.Net()(torch.ones(1, 3)).shape == (1, 2)


def test_the_order_of_the_file_is_kept_where_it_can_be() -> None:
    models = "".join(f"(defmodel ({name} ()) ())" for name in ("B", "A", "C"))
    lines = port(models).text.splitlines()
    assert [each[6] for each in lines if each.startswith("class ")] == ["B", "A", "C"]
