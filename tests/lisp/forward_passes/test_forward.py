from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

from caten_sd import nn, to_layout
from caten_sd.errors import LispError
from caten_sd.lisp.lisp_file import read_lisp
from caten_sd.loading.load import load_state_dict
from caten_sd.objects.call import call
from caten_sd.objects.extract import get_state_dict
from tests.lisp.gpt_text import GPT
from tests.properties import examples

SIZES = (16, 2, 2, 1e-5, 11)
TOKENS = torch.tensor([[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 0, 1]])


@pytest.fixture
def scorer() -> Any:
    torch.manual_seed(0)
    return read_lisp(GPT).model("Scorer")(*SIZES, max_seq_len=8)


def run(body: str, *inputs: Any, spec: str = "X[~]") -> Any:
    text = f"(defmodel (Net (&key (n 3))) ((n n) (w nil))) (defcall (self Net) ({spec}) {body})"
    return read_lisp(text).model("Net")()(*inputs)


def test_it_computes_and_differentiates_as_the_same_model_in_python(scorer) -> None:
    ours = nn.Transformer(*SIZES, max_seq_len=8)
    load_state_dict(ours, get_state_dict(scorer), strict=True)
    torch.testing.assert_close(scorer(TOKENS, 0), ours(TOKENS), rtol=1e-5, atol=1e-6)
    gradients = [
        torch.autograd.grad(logits.square().sum(), list(model.parameters()))
        for model, logits in ((scorer, scorer(TOKENS, 0)), (ours, ours(TOKENS)))
    ]
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_it_is_trained_like_any_model(scorer) -> None:
    losses = []
    for _ in range(3):
        logits = scorer(TOKENS[:, :-1], 0)
        loss = functional.cross_entropy(logits.flatten(0, 1), TOKENS[:, 1:].flatten())
        scorer.zero_grad()
        loss.backward()
        with torch.no_grad():
            for leaf in scorer.parameters():
                leaf -= 0.05 * leaf.grad
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)


def test_a_second_call_leaves_the_gradients_of_the_first_as_they_were(scorer) -> None:
    leaves = list(scorer.parameters())
    alone = torch.autograd.grad(scorer(TOKENS[:, :3], 0).sum(), leaves)
    first = scorer(TOKENS[:, :3], 0)
    scorer(TOKENS[:, 3:], 0)
    for again, before in zip(torch.autograd.grad(first.sum(), leaves), alone, strict=True):
        torch.testing.assert_close(again, before)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_its_cache_changes_no_number_and_is_no_state(scorer, step: int) -> None:
    keys = list(get_state_dict(scorer))
    with torch.no_grad():
        whole = scorer(TOKENS, 0)
        parts = [scorer(TOKENS[:, at : at + step], at) for at in range(0, 6, step)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-5, atol=1e-6)
    assert list(get_state_dict(scorer)) == keys
    assert scorer.h[0].attn.k_cache.shape == (2, 8, 2, 8)
    with pytest.raises(LispError, match=r"\(1, 6, 2, 8\).*\(2, 6, 2, 8\).*None"):
        scorer(TOKENS[:1], 0)


def test_a_copy_shares_the_functions_of_its_file() -> None:
    text = "(defmethod half ((x tensor)) (!div x (fconst 2)))"
    text += "(defsequence Net () (asnode #'half) (asnode #'forward #'!neg))"
    text += "(defmethod call ((x tensor) &rest functions) (funcall (first functions) x))"
    model = copy.deepcopy(read_lisp(text).build("(Net)"))
    assert model(torch.ones(2)).tolist() == [-0.5, -0.5]


def test_what_inference_left_in_a_cache_does_not_stop_training(scorer) -> None:
    with torch.inference_mode():
        before = scorer(TOKENS, 0)
    after = scorer(TOKENS[:, :3], 0)
    torch.testing.assert_close(after, before[:, :3])
    after.sum().backward()


def test_a_copy_is_a_model_of_its_own(scorer) -> None:
    other = copy.deepcopy(scorer)
    assert torch.equal(other(TOKENS, 0), scorer(TOKENS, 0))
    with torch.no_grad():
        other.wte.weight.zero_()
    assert not torch.equal(other(TOKENS, 0), scorer(TOKENS, 0))


def test_new_tensors_are_made_where_the_inputs_are(scorer) -> None:
    assert scorer.to("meta")(TOKENS.to("meta"), 0).device.type == "meta"


def test_a_tensor_as_the_start_position(scorer) -> None:
    with torch.no_grad():
        assert torch.equal(scorer(TOKENS, torch.tensor(0)), scorer(TOKENS, 0))


FORMS: list[tuple[str, Callable[[torch.Tensor], Any]]] = [
    ("(let ((y (!mul x x)) (z x)) (!add y z))", lambda x: x * x + x),
    ("(let* ((y (!mul x x)) (y (!add y y))) y)", lambda x: 2 * x * x),
    ("(multiple-value-bind (a b) (!chunk x 2 :dim 1) (!sub a b))", lambda x: x[:, :2] - x[:, 2:]),
    ("(multiple-value-bind (a) (apply #'values (list x x)) a)", lambda x: x),
    ("(multiple-value-bind (a b c) (values x 1) (if c a (!add a b)))", lambda x: x + 1),
    ("(dolist (i '(1 2 3) x) (setf x (!add x i)))", lambda x: x + 6),
    ("(dotimes (i (ndim x)) (setf x (!add x i))) x", lambda x: x + 1),
    ("(loop for i from 1 to 3 do (setf x (!* x i)) finally (return x))", lambda x: x * 6),
    ("(reduce #'!add (loop repeat 3 collect x))", lambda x: 3 * x),
    ("(apply #'!concatenate 0 (map 'list #'!neg (list x x)))", lambda x: -torch.cat((x, x))),
    ("(cond ((> (ndim x) 2) x) ((eql (dtype-of x) :float32) (!neg x)))", lambda x: -x),
    ("(ecase (second (shape x)) ((3 5) x) (4 (!neg x)))", lambda x: -x),
    ("(case :b (:a x) (otherwise (!neg x)))", lambda x: -x),
    ("(when (= (car (shape x)) 2) (return-from call (!neg x))) x", lambda x: -x),
    ("(unless nil (!neg x))", lambda x: -x),
    ("(flet ((twice (y) (!add y y))) (twice (twice x)))", lambda x: 4 * x),
    (
        "(labels ((up (y k) (if (zerop k) y (up (!add y 1) (1- k))))) (up x 4))",
        lambda x: x + 4,
    ),
    ("(assert (= (ndim x) 2)) x", lambda x: x),
    ("(declare (type tensor x)) (the tensor x)", lambda x: x),
    ("(with-slots (n (v w)) self (setf v x) (!mul (slot-value self 'w) n))", lambda x: 3 * x),
    ("(setf (slot-value self 'n) 5) (!mul x (slot-value self 'n))", lambda x: 5 * x),
    ("(let ((n (shape x))) (setf (nth 0 n) 1) (!view x `(0 ,(car n)) t))", lambda x: x[:1]),
    ("(st \"A[~ m] B[m] -> A[~ m]\" (x (!index-components '(4))))", lambda x: x),
    ("(funcall #'!reshape x (reverse (shape x)))", lambda x: x.reshape(4, 2)),
    ("(!reshape (!full `(2 ,(* 2 2)) (-inf)) (shape x))", lambda x: x - torch.inf),
    ("(progn (!sin x) (block done (return-from done (!cos x))))", torch.cos),
    ("(or (and nil x) (prog1 (!neg x) (!exp x)))", lambda x: -x),
    ("(let ((f (lambda (y &key (by 2)) (!mul y by)))) (funcall f x :by 3))", lambda x: 3 * x),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), FORMS, ids=[body for body, _ in FORMS])
def test_a_form_of_a_forward_pass(body: str, expected) -> None:
    x = torch.randn(2, 4, requires_grad=True)
    torch.testing.assert_close(run(body, x), expected(x))


def test_sizes_and_inputs_are_variables() -> None:
    spec = "X[batch n] Y[n m] P[]"
    found = run("(list batch n p (shape y))", torch.ones(2, 3), torch.ones(3, 4), 7, spec=spec)
    assert found == [2, 3, 7, [3, 4]]


def test_several_values_are_a_tuple_in_python() -> None:
    a, b = run("(!chunk x 2 :dim -1)", torch.arange(4))
    assert (a.tolist(), b.tolist()) == ([0, 1], [2, 3])


def test_models_call_models_sequences_and_functions() -> None:
    text = """
      (defsequence Mlp (dim &key (activation #'!relu))
        (Linear dim dim) (asnode activation) (asnode #'!leaky-relu :neg-slope 0.5) (Half))
      (defmodel (Half ()) ())
      (defcall (self Half) (X[~]) (halved x))
      (defun halved (x) (!div x (fconst 2)))
      (defmodel (Outer (dim)) ((mlp (Mlp dim :activation #'!neg))))
      (defmethod forward ((self Outer) &rest inputs)
        (call (slot-value self 'mlp) (first inputs)))"""
    model, x = read_lisp(text).build("(Outer 3)"), torch.randn(2, 3)
    linear = model.mlp[0]
    torch.testing.assert_close(model(x), functional.leaky_relu(-linear(x), 0.5) / 2)
    assert torch.equal(call(model, x), model(x))


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        ("(!gather x 0)", "the function !gather is not known"),
        ("(!soft-max x)", "did you mean !softmax"),
        ("(!matmul x x)", r"\(!matmul x x\).*float32 \(2, 4\) and float32 \(2, 4\).*shapes"),
        ("(!reshape x 3 3)", r"\(!reshape x 3 3\).*\[3, 3\]"),
        ("(!sum x :dim 1)", r"write \(!sum x &key axis keepdims\)"),
        ("(+ (!sum x) 1)", r"a float32 tensor of shape \(1, 1\) is not a number"),
        ("(!add x nil)", r"\(!add x nil\).*not a tensor"),
        ('(assert (= 1 2) () "one is not two")', "one is not two"),
        ("(ecase 3 (1 x))", "3 is none"),
        ("(forward (slot-value self 'w) x)", r"nil.*call a model"),
        ("(forward (Linear 3 2) x)", r"forward \(Linear 3 2\) x"),
        ("(slot-value self 'missing)", "missing.*its slots are n, w"),
        ("(labels ((f (y) (f (!neg y)))) (f x))", "forms wait for each other"),
    ],
)
def test_what_fails_is_said_with_its_place(body: str, facts: str) -> None:
    with pytest.raises(LispError, match=rf"^text:1:.*{facts}"):
        run(body, torch.ones(2, 4))


def test_a_slot_may_be_named_like_what_a_class_has() -> None:
    names = "evaluator definition forward-pass call fill to arguments lisp-attributes"
    text = f"(defmodel (Net ()) ({' '.join(f'({name} (iconst 2))' for name in names.split())}))"
    text += "(defcall (self Net) (X[~]) (!mul x (slot-value self 'forward-pass)))"
    model = read_lisp(text).build("")
    assert list(get_state_dict(model)) == names.replace("-", "_").split()
    assert model(torch.ones(2)).tolist() == [2, 2]


def test_a_sequence_may_have_a_forward_pass_of_its_own() -> None:
    sequence = "(defsequence Two () (Linear 2 2) (asnode #'!neg))"
    x = torch.ones(1, 2)
    model = read_lisp(sequence).build("")
    torch.testing.assert_close(model(x), -model[0](x))
    other = "(defmethod call ((self Two) &rest inputs) (!add (first inputs) 1))"
    assert read_lisp(sequence + other).build("")(x).tolist() == [[2, 2]]


def test_models_of_two_files_call_each_other() -> None:
    inner = read_lisp("(defmodel (Inner ()) ()) (defcall (self Inner) (X[~]) (!neg x))").build("")
    outer = read_lisp(
        "(defmodel (Outer (inner)) ((inner inner)))"
        "(defcall (self Outer) (X[~]) (forward (slot-value self 'inner) x))"
    ).model("Outer")(inner)
    assert outer(torch.ones(2)).tolist() == [-1, -1]


def test_inputs_have_no_names_in_python(scorer) -> None:
    with pytest.raises(LispError, match=r"^text:\d+:1: Scorer.*start=.*by position"):
        scorer(TOKENS, start=0)


def test_a_model_without_a_forward_pass_says_so() -> None:
    model = read_lisp("(defmodel (Net ()) ((w (rand '(2)))))").build("(Net)")
    with pytest.raises(
        LispError, match=r"text:1:1: .*no forward pass of Net.*defcall \(model Net\)"
    ):
        model(torch.ones(2))


def test_a_shape_that_cannot_be_read_leaves_the_keys() -> None:
    text = "(defmodel (Net ()) ((w (rand '(2))))) (defcall (self Net) (X[n) x)"
    model = read_lisp(text).build("(Net)")
    assert list(get_state_dict(model)) == ["w"]
    with pytest.raises(LispError, match=r"text:1:\d+: x\[n is not an input"):
        model(torch.ones(2))


UNARY = {"!neg": torch.neg, "!sin": torch.sin, "!relu": torch.relu, "!square": torch.square}
BINARY = {"!add": torch.add, "!mul": torch.mul, "!maximum": torch.maximum, "!-": torch.sub}
Expression = tuple[str, Callable[..., torch.Tensor]]


def _one(name: str, inner: Expression) -> Expression:
    return f"({name} {inner[0]})", lambda x, y: UNARY[name](inner[1](x, y))


def _two(name: str, a: Expression, b: Expression) -> Expression:
    return f"({name} {a[0]} {b[0]})", lambda x, y: BINARY[name](a[1](x, y), b[1](x, y))


def _bound(value: Expression, a: Expression) -> Expression:
    return f"(let ((x {value[0]})) {a[0]})", lambda x, y: a[1](value[1](x, y), y)


expressions = st.recursive(
    st.sampled_from([("x", lambda x, y: x), ("y", lambda x, y: y)]),
    lambda inner: st.one_of(
        st.builds(_one, st.sampled_from(sorted(UNARY)), inner),
        st.builds(_two, st.sampled_from(sorted(BINARY)), inner, inner),
        st.builds(_bound, inner, inner),
    ),
    max_leaves=12,
)


@settings(max_examples=examples(40))
@given(expressions)
def test_any_expression_is_what_torch_gives_for_it(expression: Expression) -> None:
    text, expected = expression
    x, y = torch.linspace(-1, 1, 6).reshape(2, 3), torch.tensor([[0.5], [-2.0]])
    torch.testing.assert_close(run(text, x, y, spec="X[a b] Y[a c]"), expected(x, y))


def test_weights_of_hugging_faces_gpt2_give_its_logits_and_its_text() -> None:
    config = GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=11, n_positions=8)
    theirs = GPT2LMHeadModel(config).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    file = read_lisp(GPT)
    state = to_layout(theirs.state_dict(), "caten-gpt2")
    scorer = load_state_dict(file.model("Scorer")(*SIZES, max_seq_len=8), state, strict=True)
    with torch.no_grad():
        expected = theirs(TOKENS).logits
        torch.testing.assert_close(scorer(TOKENS, 0), expected, rtol=1e-4, atol=1e-4)
    greedy = load_state_dict(file.model("Transformer")(*SIZES, max_seq_len=8), state, strict=True)
    assert torch.equal(greedy(TOKENS, 0)[:, 0, 0], expected[:, -1].argmax(-1))
