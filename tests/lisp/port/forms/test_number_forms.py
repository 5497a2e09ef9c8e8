"""Tests of caten_sd.lisp.port.forms.number_forms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from caten_sd.errors import ModelError
from caten_sd.lisp.lisp_file import read_lisp
from caten_sd.lisp.port.ported_module import port
from tests.lisp.port.modules import both, executed, module_of, shapes

ROOT = Path(__file__).parents[4]

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


# A head of attention: models that set its size in each way, with what sets it.
HEADS = {
    "slot": "((h (/ dim n)))",
    "two slots": "((o (/ dim n)) (h o))",
    "local": "((h (let ((each (/ dim n))) each)))",
    "function": "((h (each-of dim n)))",
    "set later": "((h dim)) (setf (slot-value self 'h) (/ dim n))",
    "global": "((h *each*))",
}


@pytest.mark.slow
def test_a_quotient_that_is_a_size_is_typed_as_one(tmp_path: Path) -> None:
    defined = """(defun each-of (a b) (/ a b)) (defparameter *eight* 8) (defparameter *two* 2)
        (defparameter *each* (/ *eight* *two*))
        (defmodel (Key (dim n &key (h (/ dim n)))) ((h h) (q (Linear h 2))))
        (defmodel (Aux (dim n &aux (h (/ dim n)))) ((h h) (q (Linear h 2))))"""
    names = ["Key", "Aux"]
    for at, slots in enumerate(HEADS.values()):
        names.append(f"M{at}")
        defined += f"(defmodel (M{at} (dim n)) {slots.replace('self', f'm{at}')})"
    for name in names:
        defined += f"""(defcall (self {name}) (X[b d])
            (!reshape x `(,b ,(slot-value self 'h) 2)))"""
    ported = port(defined)
    assert ported.problems == ()
    assert all(f"    h: {kind}" not in ported.text for kind in ("Fraction", "float"))
    module = executed(ported.text)
    x = torch.arange(16.0).reshape(2, 8)
    for name in names:
        model = getattr(module, name)(8, 2)
        assert type(model.h) is int, name
        assert torch.equal(model(x), read_lisp(defined).model(name)(8, 2)(x)), name
        if name != "M5":
            with pytest.raises(ModelError, match="7"):
                getattr(module, name)(7, 2)
    file = tmp_path / "ported.py"
    file.write_text(ported.text)
    run = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(file)]
    done = subprocess.run(run, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("sizes", ["`(2 ,(* 2 half))", "2 (* 2 half)", "(list (* 2 half) 2)"])
def test_a_size_that_fractions_give_is_a_whole_number(sizes: str) -> None:
    text = f"""(defmodel (M (n)) ((half (/ n 2))))
        (defcall (self M) (X[~]) (with-slots (half) self (!reshape x {sizes})))"""
    direct, ported = both(text, "M", 3)
    x = torch.arange(6.0)
    assert torch.equal(ported(x), direct(x))


@pytest.mark.parametrize(
    "form", ["(!mul x r)", "(!sub r x)", "(!mul x 1/3)", "(!maximum x r)", "(!add (!mul 1/2 r) x)",
             "(!expt x r)", "(!where (!< x r) x 1/3)", "(!assign x r)"],
)  # fmt: skip
def test_a_ratio_takes_part_in_operations_on_tensors(form: str) -> None:
    text = f"""(defmodel (M (a b)) ((r (/ a b))))
        (defcall (self M) (X[~]) (with-slots (r) self {form}))"""
    direct, ported = both(text, "M", 1, 3)
    x = torch.arange(6.0)
    assert torch.equal(ported(x.clone()), direct(x.clone()))


# In SBCL, too, which divides single floats: in double ones each quotient is less than 7.
@pytest.mark.parametrize("form", ["(floor (/ 0.7 0.1))", "(floor (+ 0.1 0.6) 0.1)"])
def test_single_floats_that_are_written_out_are_calculated_as_such(form: str) -> None:
    _, ported = both(f"(defmodel (M ()) ((a (Linear {form} 1))))", "M")
    assert ported.a.weight.shape == (1, 7)


def test_the_sizes_of_a_range_are_multiplied_as_they_are() -> None:
    text = "(defmodel (M (a b)) ((w (ax+b `(,(+ a 1) ,b) 1 (if (> a b) 3 4)))))"
    direct, ported = both(text, "M", 2, 3)
    assert torch.equal(ported.w, torch.arange(9.0).reshape(3, 3) + 4)
    assert torch.equal(ported.w, direct.w)


@pytest.mark.parametrize(
    "number",
    [
        "(floor (floor (/ (+ (if (< n 3) 3 -7/3) 9) 2) 2))",
        "(floor (/ (if (< -3/2 n) n k) 2))",
        "(ceiling (if (< -3/2 n) n k) 2)",
        "(floor (/ (if (< 1/2 n) 5 9/2) 2))",
    ],
)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_number_that_may_be_a_ratio_or_whole_is_rounded_to_a_whole_one(
    number: str, n: int
) -> None:
    text = f"(defmodel (M (n k)) ((w (Linear (1+ {number}) 2 :bias nil))))"
    made = module_of(text).M(n, 4)
    assert shapes(made) == shapes(read_lisp(text).model("M")(n, 4))
