from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from caten_sd.lisp.operators.all_operators import OPERATORS
from caten_sd.lisp.syntax.datum import KEYWORD, Symbol


def _key(name: str) -> Symbol:
    return Symbol(name.upper(), name, KEYWORD)


@pytest.fixture
def keyword() -> Callable[[str], Symbol]:
    return _key


@pytest.fixture
def run() -> Callable[..., Any]:
    """Apply the operator of a name; what is passed by name in Python is an option in Lisp."""
    torch.manual_seed(0)

    def applied(name: str, *arguments: Any, **options: Any) -> Any:
        pairs = [
            each
            for name, value in options.items()
            for each in (_key(name.replace("_", "-")), value)
        ]
        return OPERATORS[name.upper()].apply([*arguments, *pairs])

    return applied
