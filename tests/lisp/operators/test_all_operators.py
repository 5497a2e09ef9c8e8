from __future__ import annotations

from caten_sd.lisp.operators.all_operators import OPERATORS


def test_each_has_a_name_of_its_own() -> None:
    assert len([name for name in OPERATORS if name.startswith("!")]) == 120
    assert all(name == operator.name for name, operator in OPERATORS.items())
