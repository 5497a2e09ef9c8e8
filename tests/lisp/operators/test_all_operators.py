from __future__ import annotations

import pytest

from caten_sd.errors import ModelError
from caten_sd.lisp.operators.all_operators import OPERATORS, find_operator


def test_each_has_a_name_of_its_own() -> None:
    assert len(OPERATORS) == 120
    assert all(name == operator.name for name, operator in OPERATORS.items())


@pytest.mark.parametrize(
    ("name", "near"),
    [("!GATHER", ""), ("!ARANGE", ""), ("!ADDD", "!add"), ("!ARG-MAX", "!argmax"), ("!NOT", "")],
)
def test_what_caten_does_not_have_is_refused_with_the_nearest_names(name, near) -> None:
    with pytest.raises(ModelError, match=f"Caten has no {name.lower()}.*nearest.*{near}"):
        find_operator(name)
