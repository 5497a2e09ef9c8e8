"""Tests of caten_sd.lisp.port.number_forms."""

from __future__ import annotations

from typing import Any

import pytest

from .modules import both

# Each form, with what SBCL gives for it.
NUMBERS: list[tuple[str, int]] = [
    ("(floor {7} 2)", 3), ("(floor {-7} 2)", -4), ("(floor {7})", 7), ("(floor (/ {7} 2))", 3),
    ("(ceiling {7} 2)", 4), ("(ceiling {-7} 2)", -3), ("(ceiling (/ {-7} 2))", -3),
    ("(round {7} 2)", 4), ("(round {5} 2)", 2), ("(round {-5} 2)", -2),
    ("(truncate {7} 2)", 3), ("(truncate {-7} 2)", -3),
    ("(mod {7} 4)", 3), ("(mod {-7} 4)", 1), ("(mod {7} -4)", -1),
    ("(rem {7} 4)", 3), ("(rem {-7} 4)", -3), ("(rem {7} -4)", 3),
    ("(max {7} 4)", 7), ("(min {7} 4)", 4), ("(abs {-7})", 7), ("(expt {7} 2)", 49),
    ("(ash {7} 1)", 14), ("(ash {7} -1)", 3), ("(1+ {7})", 8), ("(1- {7})", 6), ("(- {7})", -7),
]  # fmt: skip


def test_numbers_that_are_written_out_and_numbers_that_are_passed() -> None:
    places = range(len(NUMBERS))
    constants = [form.replace("{", "").replace("}", "") for form, _ in NUMBERS]
    passed = [form.split("{")[0] + f"a{at}" + form.split("}")[1] for at, (form, _) in
              zip(places, NUMBERS, strict=True)]  # fmt: skip
    slots = " ".join(
        f"(c{at} (Linear (+ 9 {constants[at]}) 1)) (p{at} (Linear (+ 9 {passed[at]}) 1))"
        for at in places
    )
    names = " ".join(f"a{at}" for at in places)
    arguments: list[Any] = [int(form.split("{")[1].split("}")[0]) for form, _ in NUMBERS]
    _, ported = both(f"(defmodel (M ({names})) ({slots}))", "M", *arguments)
    found = [getattr(ported, f"{kind}{at}").weight.shape[1] - 9 for at in places for kind in "cp"]
    assert found == [value for _, value in NUMBERS for _ in range(2)]


# In SBCL, too, which divides single floats: in double ones each quotient is less than 7.
@pytest.mark.parametrize("form", ["(floor (/ 0.7 0.1))", "(floor (+ 0.1 0.6) 0.1)"])
def test_single_floats_that_are_written_out_are_calculated_as_such(form: str) -> None:
    _, ported = both(f"(defmodel (M ()) ((a (Linear {form} 1))))", "M")
    assert ported.a.weight.shape == (1, 7)
