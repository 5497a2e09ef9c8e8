"""Tests of caten_sd.lisp.port.forms.reduction_forms."""

from __future__ import annotations

import pytest
import torch

from caten_sd.lisp.port.ported_module import port
from tests.lisp.port.modules import both

MEAN = ":axis -1 :keepdims t"


@pytest.mark.parametrize(
    ("form", "repeated"),
    [
        (f"(!* x (!rsqrt (!add (!mean (!* x x) {MEAN}) 1e-6)))", 0),
        (f"(!/ x (!sqrt (!+ (!mean (!square x) {MEAN}) (!const x 1e-6))))", 0),
        (f"(!/ (!exp x) (!sum (!exp x) {MEAN}))", 0),
        (f"(!sub x (!mean x {MEAN}))", 0),
        (f"(!div (!matmul x (!t x)) (!max (!matmul x (!t x)) {MEAN}))", 0),
        (f"(!/ (!sub x (!mean x {MEAN})) (!std x {MEAN}))", 0),
        (f"(!* (!neg (!mean x {MEAN})) 2 x)", 0),
        (f"(!mean (!* x x) {MEAN})", 1),
        (f"(!matmul (!sum (!* x 3) {MEAN}) (!t x))", 1),
        (f"(!add (!sum x {MEAN}) (!sum (!matmul x (!t x)) :axis -1))", 1),
        (f"(!sqrt (!variance (!matmul x x) {MEAN}))", 1),
        (f"(!argmin (!* x x) {MEAN})", 1),
        (f"(!maximum x (!mean (!tanh x) {MEAN}))", 1),
        (f"(!exp (!mean (call fc x) {MEAN}))", 1),
    ],
)  # fmt: skip
def test_a_reduction_is_repeated_where_torch_does_not_do_it(form: str, repeated: int) -> None:
    text = f"""(defmodel (M ()) ((fc (Linear 3 3))))
        (defcall (self M) (X[~]) (with-slots (fc) self {form}))"""
    direct, ported = both(text, "M")
    x = torch.rand(3, 3)
    assert torch.equal(ported(x), direct(x))
    assert ported(x).shape == direct(x).shape
    written = port(text).text
    assert written.count("expand_as") == repeated
    assert written.count("model.fc(x)") <= 1


@pytest.mark.parametrize(
    "body",
    [f"(!mean (!matmul y y) {MEAN})", f"(!mean (!* y y) {MEAN})", "(!variance (!exp y))",
     f"(!add (!sum (!matmul y y) {MEAN}) (!std (!matmul y (!t y)) {MEAN}))"],
)  # fmt: skip
@pytest.mark.parametrize("function", ["(lambda (y) {})", "#'(lambda (y) {})"])
def test_a_lambda_names_its_operands_itself(body: str, function: str) -> None:
    text = f"(defsequence M () (Linear 3 3) (asnode {function.format(body)}))"
    direct, ported = both(text, "M")
    x = torch.rand(3, 3)
    assert torch.equal(ported(x), direct(x))


def test_a_lambda_that_sets_a_variable_twice_is_not_one_expression() -> None:
    text = "(lambda (y) (let ((z (!exp y))) (setf z (!* z z)) (!mean z :keepdims t)))"
    (problem,) = port(f"(defsequence M () (Linear 3 3) (asnode {text}))").problems
    assert "not one expression" in problem


@pytest.mark.parametrize(
    ("form", "repeated"),
    [
        (f"(let ((s (!sum x {MEAN}))) (!div x s))", 0),
        (f"(let* ((m (!mean x {MEAN})) (d (!sub x m)) (v (!mean (!* d d) {MEAN}))) (!/ d v))", 0),
        (f"(let* ((s (!sum x {MEAN})) (r (!sqrt s))) (!div x r))", 0),
        (f"(let ((s (!sum x {MEAN}))) (!matmul s s))", 2),
        (f"(let ((s (!sum x {MEAN}))) s)", 1),
        (f"(let ((s (!sum x {MEAN}))) (setf x (!t (!* x 2))) (!div x s))", 1),
        (f"(let ((s (!sum x {MEAN}))) (dotimes (i 2) (setf s (!matmul s x))) (!div x s))", 1),
        (f"(let ((x (!sum x {MEAN}))) (!div x x))", 1),
        (f"(let* ((s (!sum x {MEAN})) (x (!matmul x x))) (!div x s))", 1),
        (f"(let ((s (!sum x {MEAN}))) (flet ((f (y) (!div y s))) (f x)))", 1),
        (f"(funcall (lambda (y) (let ((s (!sum y {MEAN}))) (!div y s))) x)", 0),
        (f"(let ((s (!sum x {MEAN}))) (call fc s))", 1),
    ],
)  # fmt: skip
def test_a_variable_holds_a_reduction_as_torch_gives_it(form: str, repeated: int) -> None:
    text = f"""(defmodel (M ()) ((fc (Linear 3 3))))
        (defcall (self M) (X[~]) (with-slots (fc) self {form}))"""
    direct, ported = both(text, "M")
    x = torch.rand(3, 3)
    assert torch.equal(ported(x), direct(x))
    assert ported(x).shape == direct(x).shape
    assert port(text).text.count("expand_as") == repeated
