"""The Python that is written gives what the models give when they are read directly."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from caten_sd.errors import CatenError, LispError, LispWarning
from caten_sd.lisp.definitions.names import class_name
from caten_sd.lisp.lisp_file import read_lisp
from caten_sd.lisp.port.ported_module import port
from caten_sd.lisp.syntax.datum import Form, Literal, Symbol
from caten_sd.lisp.syntax.reader import read_data

from ...caten_numbers import CASES, assert_as_in_caten, inputs_of, with_weights
from ..gpt_text import GPT
from ..test_caten_forwards import FUNCTIONS, WRITTEN
from .modules import both, executed, module_of, shapes

ROOT = Path(__file__).parents[3]
ORACLE = json.loads((ROOT / "tests" / "data" / "caten_keys.json").read_text("utf-8"))
DEFINED = "\n".join(each for each in ORACLE["definitions"] if "Collide" not in each)
OWN = [
    case
    for case in ORACLE["cases"]
    if f"(defmodel ({case['call'][1:].split()[0].rstrip(')')} " in DEFINED
    or f"(defsequence {case['call'][1:].split()[0].rstrip(')')} " in DEFINED
]
LEFT_OUT = """(defparameter *w* (make-hash-table)) (defun f (x) (getf x :a))
(defcall (self Net) (X[~]) (with-slots (tail fc) self (call fc x)))
(defmodel (Net (n &key (scale (getf n :a))))
  ((fc (Linear n 2)) (tail (assoc 1 (list n))) (other (list tail)) (last (f n)))
  (mapc #'print (list fc)))
(defsequence Mlp (n) (Linear n 2) (asnode #'foo) (asnode #'!relu) (assoc 1 n))"""
REMEMBERS = "(defparameter *remembers* nil)"


def arguments_of(call: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Return the class that a call in Lisp names, and what it passes, as Python does."""
    (datum,) = read_data(call)
    assert isinstance(datum, Form)
    assert isinstance(datum.items[0], Symbol)
    places: list[Any] = []
    options: dict[str, Any] = {}
    data = iter(datum.rest)
    for each in data:
        if isinstance(each, Symbol) and each.is_keyword:
            options[each.name.lower().replace("-", "_")] = plain(next(data))
        else:
            places.append(plain(each))
    return class_name(datum.items[0]), places, options


def plain(datum: Any) -> Any:
    if isinstance(datum, Literal):
        return datum.value
    return [plain(each) for each in datum.rest[0].items] if isinstance(datum, Form) else None


@pytest.fixture(scope="module")
def defined() -> Any:
    return executed(port(DEFINED).text)


@pytest.mark.parametrize("case", OWN, ids=lambda case: case["name"])
def test_keys_and_shapes_of_what_caten_was_asked_for(case: dict[str, Any], defined: Any) -> None:
    name, places, options = arguments_of(case["call"])
    if name == "Dotted":
        return
    if "error" in case:
        with pytest.raises(CatenError, match="7 is not a multiple of 2"):
            getattr(defined, name)(*places, **options)
        return
    found = shapes(getattr(defined, name)(*places, **options))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LispWarning)  # for state that Caten drops
        assert found == shapes(read_lisp(DEFINED).build(case["call"]))
    if name != "Alist":  # whose state Caten drops
        assert [key for key, _ in found] == [key for key, _ in case["keys"]]


def test_a_pair_of_models_is_refused_as_caten_refuses_it(defined: Any) -> None:
    (problem,) = port(DEFINED).problems
    assert "cons is not translated" in problem
    assert "(list a b)" in problem
    with pytest.warns(UserWarning, match="Dotted has no state for its slot d: text:"):
        assert shapes(defined.Dotted(2)) == []


def test_a_weight_that_the_body_ties_is_tied(defined: Any) -> None:
    model = defined.Body(4, tie=True)
    assert model.b.weight is model.a.weight
    assert defined.Body2(4).b is None


@pytest.mark.parametrize("name", [each for each in WRITTEN if each != "Attention"])
def test_forward_passes_bit_for_bit(name: str) -> None:
    text = WRITTEN[name] + REMEMBERS
    model, places, options = arguments_of(CASES[name]["call"])
    ported = with_weights(name, getattr(module_of(text), model)(*places, **options))
    direct = with_weights(name, read_lisp(text).build(CASES[name]["call"]))
    inputs = inputs_of(name)
    found = ported(*inputs)
    assert torch.equal(found, direct(*inputs))
    assert_as_in_caten(name, found)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_bit_for_bit(name: str) -> None:
    text = f"(defmodel (Act ()) ()) (defcall (self Act) (X[~]) {FUNCTIONS[name]})"
    direct, ported = both(text, "Act")
    inputs = inputs_of(name)
    found = ported(*inputs)
    assert found.dtype == direct(*inputs).dtype
    assert torch.equal(found, direct(*inputs))
    assert_as_in_caten(name, found)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_transformer_with_its_cache_bit_for_bit(layers: int) -> None:
    torch.manual_seed(0)
    direct, ported = both(GPT, "Scorer", 16, 2, layers, 1e-5, 11, max_seq_len=8)
    name = f"Transformer logits, {layers} layer{'s' * (layers > 1)}"
    tokens = inputs_of(name)[0].long()
    for start in range(2):  # the second call reads what the first one left
        assert torch.equal(ported(tokens, start), direct(tokens, start))
    assert_as_in_caten(name, with_weights(name, ported)(tokens, 0))


def test_gradients_are_those_of_the_class_read_directly() -> None:
    torch.manual_seed(0)
    direct, ported = both(GPT, "Scorer", 16, 2, 1, 1e-5, 11, max_seq_len=8)
    tokens = torch.tensor([[1, 2, 3]])
    for _ in range(2):  # the cache of the first call keeps no gradient
        for model in (direct, ported):
            model.zero_grad()
            model(tokens, 0).square().sum().backward()
    gradients = [{key: p.grad for key, p in m.named_parameters()} for m in (direct, ported)]
    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.equal(gradients[1][key], each) for key, each in gradients[0].items())
    assert ported.h[0].attn.k_cache.grad_fn is None


@pytest.mark.parametrize(
    ("file", "name", "arguments", "x"),
    [
        ("llama", "Llama", (17, 16, 2, 4), torch.arange(6).reshape(2, 3)),
        ("mlp", "Digits", (), torch.arange(16 * 49.0).reshape(1, 28, 28) / 99),
    ],
)
def test_the_examples_bit_for_bit(
    file: str, name: str, arguments: tuple[int, ...], x: torch.Tensor
) -> None:
    text = (ROOT / "examples" / "lisp" / f"{file}.lisp").read_text("utf-8")
    direct, ported = both(text, name, *arguments)
    assert torch.equal(direct(x), ported(x))


def test_the_same_text_each_time_and_without_the_folder(tmp_path: Path) -> None:
    file = tmp_path / "gpt.lisp"
    file.write_text(GPT)
    first = port(file)
    assert first == port(file)
    assert first.problems == ()
    assert str(tmp_path) not in first.text
    assert "# from gpt.lisp:" in first.text


def written(folder: Path) -> list[str]:
    texts = [DEFINED, GPT, *(text + REMEMBERS for text in WRITTEN.values())]
    texts += [f"(defmodel (Act ()) ()) (defcall (self Act) (X[~]) {f})" for f in FUNCTIONS.values()]
    texts.append(LEFT_OUT)
    for number, text in enumerate(texts):
        (folder / f"ported_{number}.py").write_text(port(text).text)
    return [str(each) for each in folder.iterdir()]


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=lambda each: each[0])
def test_ruff_finds_nothing_to_say(command: list[str], tmp_path: Path) -> None:
    own = 'lint.isort.known-third-party=["caten_sd"]'
    options = ["--no-cache", "--config", str(ROOT / "pyproject.toml"), "--config", own]
    run = [sys.executable, "-m", "ruff", *command, *options, *written(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_mypy_finds_nothing_to_say(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", *written(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_forward_pass_that_is_not_translated_leaves_the_keys() -> None:
    text = """(defmodel (Net (n)) ((fc (Linear n 2))))
        (defcall (self Net) (X[~]) (!batch-norm x 3))"""
    ported = port(text)
    (problem,) = ported.problems
    assert problem.startswith("text:2:")
    assert "!batch-norm" in problem
    assert "# Not translated: text:2:" in ported.text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = executed(ported.text).Net(3)
    assert shapes(net) == [("fc.weight", (2, 3)), ("fc.bias", (2,))]
    with pytest.raises(NotImplementedError, match="text:2"):
        net(torch.ones(1, 3))


def test_of_two_forward_passes_none_is_called_if_the_later_one_is_not_translated() -> None:
    ported = port("""(defmodel (Net (n)) ((fc (Linear n 2))))
        (defcall (self Net) (X[~]) x)
        (defcall (self Net) (X[~]) (!batch-norm x 3))""")
    assert len(ported.problems) == 2
    with pytest.raises(NotImplementedError, match="text:3"):
        executed(ported.text).Net(3)(torch.ones(1, 3))


@pytest.mark.parametrize(
    ("slot", "call", "near"),
    [
        ("(Linear n-hiden 2)", "x", "n-hidden"),
        ("(RMSNrom n-hidden)", "x", "RMSNorm"),
        ("(Linear (flor n-hidden 2) 2)", "x", "floor"),
        ("(Linear *widht* 2)", "x", "*width*"),
        ("(Linear n-hidden 2)", "(!sqroot x)", "!sqrt"),
        ("(Linear n-hidden 2)", "(mapcar #'!sqroot (list x))", "!sqrt"),
        ("(Linear n-hidden 2)", "(apply #'!sqroot (list x))", "!sqrt"),
        ("(Linear n-hidden 2)", "(let ((cosine x)) cosin)", "cosine"),
        ("(Linear n-hidden 2)", "(let ((cosine x)) (setf cosin x))", "cosine"),
        ("(Linear n-hidden 2)", "(flet ((doubled (y) (!* y 2))) (double x))", "doubled"),
    ],
)
def test_a_misspelled_name_is_said_with_the_nearest_ones(slot: str, call: str, near: str) -> None:
    (problem,) = port(f"""(defparameter *width* 8) (defmodel (Net (n-hidden)) ((fc {slot})))
        (defcall (self Net) (X[~]) {call})""").problems
    assert problem.startswith("text:")
    assert near in problem.partition("did you mean ")[2]


@pytest.mark.parametrize(
    ("model", "said"), [("Nett", "did you mean Net?"), ("Linear", "the file does not define")]
)
def test_a_forward_pass_of_no_model_of_the_file_is_said(model: str, said: str) -> None:
    module = port(f"(defmodel (Net (n)) ((fc (Linear n 2)))) (defcall (self {model}) (X[~]) x)")
    (problem,) = module.problems
    assert said in problem
    assert f"Not translated: {problem}"[:60] in module.text


def test_a_name_that_is_known_and_not_translated_is_not_called_unknown() -> None:
    (problem,) = port("(defmodel (Net (n)) ((fc (Linear n 2)) (k *default-float*)))").problems
    assert "did you mean" not in problem
    assert "not known" not in problem


@pytest.mark.parametrize(
    "name", ['a"b.lisp', 'a"""b.lisp', "a\\nb.lisp", "a\nimport nothing #.lisp", "a'{n}.lisp"]
)
def test_no_name_of_a_file_is_run(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text("""(defmodel (Net (n)) ((fc (Linear n 2))))
        (defcall (self Net) (X[~]) (!batch-norm x 3))
        (defmodel (Lost (n)) ((fc (Linear m 2))))""")
    module = ModuleType("ported")
    sys.modules["ported"] = module
    try:
        exec(compile(port(file).text, "ported", "exec"), module.__dict__)
    finally:
        del sys.modules["ported"]
    with pytest.warns(UserWarning, match=":3 is not translated"):
        assert shapes(module.Lost(3)) == []


@pytest.mark.parametrize(
    "text",
    ["(defun f (x) x)", "(defmodel (Net", "(defmodel (Net () :slots ((a))) ())", "(defmodel Net)"],
)
def test_what_defines_no_model_is_refused(text: str) -> None:
    with pytest.raises(LispError, match="; "):
        port(text)


def test_deep_forms_end_in_a_sentence() -> None:
    deep = "(+ 1 (* n " * 70 + "1" + "))" * 70
    problems = port(f"(defmodel (Net (n)) ((n {deep})))").problems
    assert all(each.startswith("text:1:") for each in problems)
