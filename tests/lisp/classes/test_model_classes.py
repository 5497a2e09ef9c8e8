from __future__ import annotations

import copy
import inspect
from typing import Any

import pytest
import torch

from caten_sd import nn
from caten_sd.errors import LispError, StateDictError
from caten_sd.lisp.lisp_file import read_lisp
from caten_sd.loading.load import load_state_dict
from caten_sd.nn.module import Module
from caten_sd.objects.call import call
from caten_sd.objects.declared_slots import declared_slots
from caten_sd.objects.extract import get_state_dict


def shapes(model: Any) -> dict[str, tuple[int, ...]]:
    return {key: tuple(leaf.shape) for key, leaf in get_state_dict(model).items()}


def model_of(text: str, name: str = "M") -> Any:
    return read_lisp(text).model(name)


GPT = """
; a decoder of the usual kind, in words of our own
(defparameter *expansion* 4)
(defmodel (Heads (width count length))
    ((c-attn (Linear width (* 3 width))) (c-proj (Linear width width))
     (size (floor (/ width count))) (keys nil :accessor heads-keys)))
(defmodel (Mix (width inner)) ((c-fc (Linear width inner)) (c-proj (Linear inner width))))
(defmodel (Layer (width count &key (eps 1e-5) (length 1024)))
    ((attn (Heads width count length)) (mlp (Mix width (* *expansion* width)))
     (ln_1 (LayerNorm `(,width) :eps eps)) (ln_2 (LayerNorm (list width) :eps eps))))
(defmodel (Decoder (width count layers eps words &key (length 1024)))
    ((wte (Embedding words width)) (wpe (Embedding length width))
     (h (loop repeat layers collect (Layer width count :eps eps :length length)))
     (ln-f (LayerNorm `(,width) :eps eps)) (lm-head (Linear width words :bias nil))))
(defmethod call ((model Heads) &rest inputs) (setf (heads-keys model) (car inputs)))
"""


@pytest.mark.parametrize(("layers", "count"), [(0, 5), (2, 29), (4, 53), (12, 149)])
def test_a_decoder_has_the_keys_and_shapes_of_the_reference(layers: int, count: int) -> None:
    ours = model_of(GPT, "Decoder")(32, 2, layers, 1e-5, 32, length=8)
    reference = nn.Transformer(32, 2, layers, 1e-5, 32, max_seq_len=8)
    assert shapes(ours) == shapes(reference)
    assert list(shapes(ours)) == list(shapes(reference))
    assert len(shapes(ours)) == count
    assert load_state_dict(ours, get_state_dict(reference), strict=True) is ours


def test_the_class_has_the_arguments_of_the_model() -> None:
    decoder = model_of(GPT, "decoder")
    assert issubclass(decoder, Module)
    assert decoder.__name__ == "Decoder"
    signature = "(width, count, layers, eps, words, *, length=1024)"
    assert str(inspect.signature(decoder)) == signature
    assert decoder(32, 2, 1, eps=1e-5, words=9).h[0].ln_1.eps == 1e-5
    assert [each.name for each in declared_slots(decoder)] == ["wte", "wpe", "h", "ln_f", "lm_head"]


def test_one_file_has_one_class_of_a_name() -> None:
    file = read_lisp(GPT)
    assert file.model("Mix") is file.model("MIX") is type(file.build("(Layer 4 2)").mlp)


def test_a_cache_is_no_state() -> None:
    heads = model_of(GPT, "Heads")(4, 2, 8)
    heads.keys = torch.ones(3)
    assert list(shapes(heads)) == [
        "c_attn.weight",
        "c_attn.bias",
        "c_proj.weight",
        "c_proj.bias",
    ]


CACHES = [
    "(setf (slot-value m 'c) x)",
    "(setf (c-of m) x)",
    "(with-slots (c) m (setf c x))",
    "(with-slots ((k c)) m (when x (setf k x)))",
]


@pytest.mark.parametrize("form", CACHES)
def test_a_slot_that_a_method_sets_is_a_cache(form: str) -> None:
    text = f"(defmodel (M ()) ((c nil :accessor c-of) (d nil))) (defmethod call ((m M) x) {form})"
    model = model_of(text)()
    model.c, model.d = torch.ones(1), torch.ones(2)
    assert list(shapes(model)) == ["d"]


def test_names_that_are_not_pythons() -> None:
    names = "|Wq-Proj| *star* a.b w/x -lead- lambda class in to build self 1+ lead"
    slots = " ".join(f"({name} (rand '(2)))" for name in names.split())
    model = model_of(f"(defmodel (M ()) ({slots}))")()
    keys = "wq_proj *star* a.b w/x _lead_ lambda class in to build self 1+ lead"
    assert list(shapes(model)) == keys.split()
    assert model.wq_proj is get_state_dict(model)["wq_proj"]
    assert model.star.shape == model.a_b.shape == model.lambda_.shape == (2,)
    model.to(torch.float16)
    assert model.lambda_.dtype == torch.float16


def test_slots_see_the_slots_before_them_and_closures_what_they_saw() -> None:
    text = "(defmodel (M (n)) ((f (lambda () n)) (n (* 2 n)) (w (rand (list n (funcall f))))))"
    model = model_of(text)(3)
    assert shapes(model) == {"w": (6, 3)}
    assert model.f() == 3


TIE = """(defmodel (M (n &key (tie t))) ((a (Linear n n :bias nil)) (b (Linear n n :bias nil)))
  (when tie (setf (slot-value b 'caten/nn::weight) (slot-value a 'weight))))"""


def test_a_body_ties() -> None:
    assert get_state_dict(model_of(TIE)(2)).ties == {"b.weight": "a.weight"}
    assert not get_state_dict(model_of(TIE)(2, tie=False)).ties


def test_a_body_sets_slots_of_the_instance_by_its_name_only() -> None:
    text = "(defmodel (M ()) ((a (Linear 1 1)) (b nil) (c nil)) (setf b a (slot-value M 'c) a))"
    model = model_of(text)()
    assert model.b is None
    assert model.c is model.a


BASE = "(defmodel (Base (n)) ((p (Linear n n :bias nil)) (w (rand (list n)))))"
SUB = BASE + "(defclass M (Base) ((w :initform 3) (q :initform (rand '(2)) :reader q-of)))"


def test_a_subclass_adds_slots_and_a_redeclared_one_keeps_its_place() -> None:
    sub = model_of(SUB)
    assert issubclass(sub, sub.__mro__[1])
    assert list(shapes(sub(3))) == ["p.weight", "w", "q"]
    assert shapes(read_lisp(SUB).build("(make-instance 'M :attrs (list :n 2))"))["w"] == (2,)
    text = SUB + "(defmodel (H (n)) ((m (make-instance 'M :attrs `(:n ,n))) (q (q-of m))))"
    assert get_state_dict(model_of(text, "H")(2)).ties == {"q": "m.q"}


def test_arguments_of_all_kinds() -> None:
    text = "(defmodel (M (a &optional (b (1+ a)) &rest r &aux (z 9))) ((w (rand `(,a ,b ,@r ,z)))))"
    model = model_of(text)
    assert shapes(model(2))["w"] == (2, 3, 9)
    assert shapes(model(2, 5, 6))["w"] == (2, 5, 6, 9)
    assert shapes(model(a=2, b=4))["w"] == (2, 4, 9)


def test_values_of_python_are_values_of_lisp() -> None:
    text = (
        "(defmodel (M (b s &key (a :tanh))) ((l (Linear 2 2 :bias b)) (g (GeLU :approx a)) (s s)))"
    )
    model = model_of(text)(False, (1, []), a="sigmoid")
    assert model.l.bias is None
    assert model.g.approx == "sigmoid"
    assert model.s == [1, None]


@pytest.mark.parametrize(
    ("args", "options", "said"),
    [
        ((), {}, "missing a required argument: 'n'"),
        ((1, 2), {}, "too many"),
        ((1,), {"q": 3}, "'q'"),
        ((1,), {"n": 3}, "multiple values"),
    ],
)
def test_wrong_arguments_show_the_lambda_list(args: Any, options: Any, said: str) -> None:
    model = model_of("(defmodel (M (n &key (k 3))) ((w (rand (list n k)))))")
    with pytest.raises(LispError, match=rf"^text:1:1: M: .*{said}.*\(n &key \(k 3\)\)"):
        model(*args, **options)


def test_a_model_is_copied_with_its_functions() -> None:
    model = model_of("(defmodel (M (g)) ((f (lambda (x) (* x g))) (h #'!relu) (w (rand '(2)))))")(3)
    other = copy.deepcopy(model)
    assert other.f(2) == 6
    assert other.w is not model.w
    assert repr(other) == "M(f=#'lambda, h=#'!relu, w=<float32 (2,)>)"


def test_a_sequence_counts_every_node() -> None:
    text = "(defsequence M (n &key (f #'!relu)) (Linear n 3) (asnode f) (Linear 3 n) (Sigmoid))"
    model = model_of(text)(2)
    assert list(shapes(model)) == ["m.0.weight", "m.0.bias", "m.2.weight", "m.2.bias"]
    x = torch.randn(4, 2)
    first, last = model.nodes[0], model.nodes[2]
    expected = torch.sigmoid(last(torch.relu(first(x))))
    assert torch.equal(call(model, x), expected)
    text = "(defsequence M () (asnode #'!leaky-relu :neg-slope 0.5))"
    assert model_of(text)()(torch.tensor(-1.0)) == -0.5


def test_a_number_of_a_tensor_is_state() -> None:
    text = "(defmodel (M ()) ((a (fconst 1.5)) (b 3) (c (iconst 2)) (d (list (rand '(2)) (a)))))"
    model = model_of("(defun a () (fconst 1)) " + text)()
    assert shapes(model) == {"a": (), "c": (), "d.0": (2,), "d.1": ()}


def chain(count: int) -> str:
    """Return classes of which each is the base of the one before it."""
    return " ".join(f"(defclass C{at} (C{at + 1}) ())" for at in range(1, count))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(defclass M (Foo) ())", "Foo.*not defined"),
        ("(defclass M (M) ())", "subclass of itself"),
        ("(defclass M (N) ()) (defclass N (M) ())", "subclass of itself"),
        (f"(defclass M (C1) ()) {chain(200)}", "C150 is a base of more than 149 classes"),
        (BASE + "(defmodel (C ()) ()) (defclass M (Base C) ())", "among others"),
        ("(defsequence M () 3)", "3.*not a node"),
        ("(defsequence M () (list 1))", r"\(1\).*cannot be called"),
        ("(defmodel (M ()) ((w (M))))", "wait for each other"),
        ("(defmodel (M ()) ((w (cons (Linear 1 1) (Linear 1 1)))))", "pair"),
        ("(defmacro foo (x) x) (defmodel (M ()) ((w (foo 3))))", "defmacro foo.*not read"),
        ("(defparameter *a* *b*) (defparameter *b* *a*) (defmodel (M ()) ((w *a*)))", "wait"),
        ("(defmodel (M ()) ((w (make-instance 'foo))))", "not a class"),
    ],
)
def test_refusals(text: str, said: str) -> None:
    with pytest.raises(LispError, match=rf"^text:1:\d+: .*{said}"):
        model_of(text)()


def test_a_model_that_holds_itself_is_built_and_has_no_state() -> None:
    model = read_lisp("(defmodel (A ()) ((a nil)) (setf (slot-value A 'a) A))").model("A")()
    with pytest.raises(StateDictError, match="holds itself"):
        get_state_dict(model)


@pytest.mark.parametrize("name", ["__dict__", "__getattr__", "__class__", "self", "|a B|", "build"])
def test_a_slot_may_have_any_name(name: str) -> None:
    model = read_lisp(f"(defmodel (M ()) (({name} (Linear 3 2))))").model("M")()
    other = copy.deepcopy(model)
    key = f"{name.strip('|').lower()}.weight"
    assert list(get_state_dict(model)) == [key, key.replace("weight", "bias")]
    load_state_dict(other, get_state_dict(model))
    assert torch.equal(get_state_dict(other)[key], get_state_dict(model)[key])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("(Transformer 32 2 1000000000 1e-5 32)", "steps"),
        ("(Embedding 10000000000 1000000)", "memory"),
    ],
)
def test_a_model_that_is_too_large_is_refused(call: str, said: str) -> None:
    with pytest.raises(LispError, match=said):
        read_lisp(";\n").build(call)


def test_a_chain_of_many_classes_is_refused_at_one_of_them() -> None:
    text = "(defclass c0 () ())" + "".join(
        f"(defclass c{number} (c{number - 1}) ())" for number in range(1, 1_500)
    )
    assert read_lisp(text).model("c100").__mro__[100].__name__ == "c0"
    with pytest.raises(LispError, match=r"^text:1:\d+: c\d+ .*149 classes"):
        read_lisp(text).model("c1499")
