"""Forward passes written in Lisp against the numbers of the real Caten."""

from __future__ import annotations

import pytest

from caten_sd.lisp.lisp_file import read_lisp

from ..caten_numbers import CASES, assert_as_in_caten, inputs_of, with_weights
from .gpt_text import GPT

# Our own definitions of models that Caten has too: a file may define them instead of using them.
WRITTEN = {
    "Linear": """
        (defmodel (Linear (n-in n-out))
            ((weight (randn (list n-out n-in) :requires-grad t))
             (bias (randn (list n-out) :requires-grad t))))
        (defcall (self Linear) (X[~ n])
          (with-slots (weight bias) self
            (!+ (!matmul x (!t weight)) bias)))""",
    "LayerNorm4": """
        (defmodel (LayerNorm (dims &key (eps 1e-5)))
            ((affine (make-tensor dims :initial-element 1.0 :requires-grad t))
             (bias (make-tensor dims :requires-grad t))
             (eps eps)))
        (defmethod call ((self LayerNorm) &rest inputs)
          (let* ((x (first inputs))
                 (far (!- x (!mean x :axis -1)))
                 (spread (!mean (!square far) :axis -1 :keepdims t)))
            (with-slots ((scale affine) (shift bias) eps) self
              (!add shift (!* far scale (!rsqrt (!add spread (!const x eps))))))))""",
    "RMSNorm34": """
        (defmodel (RMSNorm (dims &key (eps 1e-5)))
            ((weight (make-tensor dims :initial-element 1.0 :requires-grad t)) (eps eps)))
        (defcall (self RMSNorm) (X[~ n])
          (let ((mean-square (!/ (!sum (!mul x x) :axis -1) (fconst n))))
            (!div (!mul x (slot-value self 'weight))
                  (!sqrt (!+ mean-square (fconst (slot-value self 'eps)))))))""",
    "ConvND": """
        (defmodel (ConvND (n-in n-out kernel &key (stride 1) (dilation 1) (padding 0)))
            ((weight (randn `(,n-out ,n-in ,@kernel) :requires-grad t))
             (bias (randn (list n-out) :requires-grad t))
             (kernel kernel) (stride stride) (dilation dilation)
             (padding (if (listp padding) padding (list padding padding)))))
        (defcall (self ConvND) (X[batch n-in height width])
          (with-slots (weight bias kernel stride dilation padding) self
            (let* ((padded (!padding x (list* t t (loop for p in padding collect (list p p)))))
                   (windows (!unfold padded kernel :stride stride :dilation dilation))
                   (sizes (subseq (shape windows) 2 4))
                   (volume (apply #'* n-in kernel))
                   (rows (!permute windows 0 2 3 1 4 5))
                   (rows (!reshape rows (list batch (reduce #'* sizes) volume)))
                   (n-out (first (shape weight)))
                   (out (!+ (!matmul rows (!t (!reshape weight n-out volume))) bias)))
              (!reshape (!transpose out 1 2) batch n-out sizes))))""",
    "MaxPool": """
        (defmodel (MaxPool (kernel)) ((kernel kernel)))
        (defcall (self MaxPool) (X[n c height width])
          (largest x (slot-value self 'kernel)))
        (defun largest (x kernel)
          (let ((windows (!unfold x kernel :stride kernel)))
            (!reshape (!max windows :axis '(-1 -2)) (butlast (shape windows) 2))))""",
    "FeedForward": GPT,
    "Embedding": """
        (defmodel (Embedding (vocab dim)) ((weight (randn (list vocab dim) :requires-grad t))))
        (defcall (self Embedding) (Ids[batch time])
          (let* ((table (slot-value self 'weight))
                 (vocab (car (shape table)))
                 (places (!reshape (!index-components (list vocab)) 1 1 vocab))
                 (found (!eq (!reshape ids batch time 1) places)))
            (!matmul (!cast found (dtype-of table)) table)))""",
    "Attention": GPT,
}
for _name in ("ConvND stride pad", "ConvND dilation", "ConvND1", "ConvND1o"):
    WRITTEN[_name] = WRITTEN["ConvND"]
WRITTEN["LayerNorm34"] = WRITTEN["LayerNorm4"]

# Activations in terms of others, or of arithmetic.
FUNCTIONS = {
    "act !SIGMOID": "(!recip (!add (!const x 1) (!exp (!neg x))))",
    "act !HARD-SIGMOID": "(!clip (!+ (!* x (fconst 0.2)) (fconst 1/2)) 0 1)",
    "act !RELU": "(!where (!> x (!const x 0)) x (!const x 0))",
    "act !LOG-SOFTMAX": "(!- x (!log (!sum (!exp x) :axis 1)))",
    "act !ELU": "(!maximum x (!- (!exp (!minimum x (!const x 0))) (!const x 1)))",
    "act !RELU6": "(!minimum (!relu x) (!const x 6))",
    "act !SOFTMAX": "(let ((e (!exp x))) (!div e (!sum e :axis -1 :keepdims t)))",
    "act !SOFTPLUS": "(!log (!+ (!const x 1) (!exp x)))",
    "act !SOFTSIGN": "(!div x (!+ (!abs x) (!const x 1)))",
    "act !SOFTSHRINK": "(!- x (!clip x (fconst -0.5) (fconst 0.5)))",
    "act !GELU": """(!* (fconst 0.5) x (!+ (fconst 1)
        (!tanh (!* (fconst (sqrt (/ 2 pi))) (!+ x (!* (fconst 0.044715) (!expt x 3)))))))""",
    "act !CELU": "(!elu x)",
    "act !LOGSIGMOID": "(!log (!sigmoid x))",
    "act !SILU": "(!* x (!sigmoid x))",
    "act !HARDTANH": "(!minimum (!maximum x (!const x -1)) (!const x 1))",
    "act !TANH": "(!div (!sinh x) (!cosh x))",
    "act gelu sigmoid": "(!gelu x :approx :sigmoid)",
    "softmax axis 0": "(!softmax x :axis 0)",
}
OPTIONS = {name: FUNCTIONS[name] for name in ("act gelu sigmoid", "softmax axis 0")}
WHOLE = {"Transformer argmax", "Transformer logits, 2 layers", "Transformer logits, 1 layer"}


def test_every_case_is_there() -> None:
    assert {*WRITTEN, *FUNCTIONS, *WHOLE} == set(CASES)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_model_written_in_lisp(name: str) -> None:
    file = read_lisp(WRITTEN[name] + "(defparameter *remembers* nil)")  # of attention's cache
    model = with_weights(name, file.build(CASES[name]["call"]))
    assert_as_in_caten(name, model(*inputs_of(name)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_written_in_lisp(name: str) -> None:
    text = f"(defmodel (Act ()) ()) (defcall (self Act) (X[~]) {FUNCTIONS[name]})"
    assert_as_in_caten(name, read_lisp(text).build("")(*inputs_of(name)))


@pytest.mark.parametrize("name", sorted(set(CASES) - WHOLE))
def test_what_is_built_in_and_called_from_lisp(name: str) -> None:
    call = CASES[name]["call"]
    if call.startswith("("):
        text = f"""(defmodel (Outer ()) ((inner {call})))
                   (defmethod call ((self Outer) &rest inputs)
                     (apply #'forward (slot-value self 'inner) inputs))"""
    else:
        form = OPTIONS.get(name, f"({name.removeprefix('act ')} x)")
        text = f"(defmodel (Outer ()) ()) (defcall (self Outer) (X[~]) {form})"
    model = read_lisp(text).model("Outer")()
    with_weights(name, getattr(model, "inner", None))
    assert_as_in_caten(name, model(*inputs_of(name)))


@pytest.mark.parametrize(
    ("name", "layers"), [("Transformer logits, 2 layers", 2), ("Transformer logits, 1 layer", 1)]
)
def test_the_logits_of_a_transformer(name: str, layers: int) -> None:
    model = read_lisp(GPT).model("Scorer")(16, 2, layers, 1e-5, 11, max_seq_len=8)
    assert_as_in_caten(name, with_weights(name, model)(inputs_of(name)[0].long(), 0))


@pytest.mark.parametrize("own", [True, False], ids=["written", "built-in"])
def test_the_most_likely_token(own: bool) -> None:
    name = "Transformer argmax"
    text = GPT if own else ""
    text += "(defmodel (Outer (inner)) ((inner inner)))"
    text += "(defcall (self Outer) (Ids[b n]) (forward (slot-value self 'inner) ids 0))"
    model = read_lisp(text).build(f"(Outer {CASES[name]['call']})")
    with_weights(name, model.inner)
    assert_as_in_caten(name, model(inputs_of(name)[0]))
