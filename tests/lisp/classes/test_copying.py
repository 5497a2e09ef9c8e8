"""Models of a Lisp file are copied, pickled and saved by torch."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from caten_sd.errors import ModelError
from caten_sd.lisp.lisp_file import read_lisp
from caten_sd.objects.extract import get_state_dict
from tests.lisp.gpt_text import GPT

TIED = """(defmodel (Layer (n)) ((fc (Linear n n)) (sizes (list n (cons 1 2) :k 'name 1/2 1.5))))
(defclass Wide (Layer) ((out :initform (Linear 2 2))))
(defmodel (Net (n)) ((a (loop repeat 2 collect (Layer n))) (w (Wide n)) (k nil) (b (Linear n n)))
  (setf (slot-value (slot-value Net 'b) 'weight) (slot-value (slot-value w 'fc) 'weight)))
(defcall (self Net) (X[~]) (setf (slot-value self 'k) x) (call (slot-value self 'b) x))
(defsequence Mlp (n) (Net n) (asnode #'!relu) (asnode #'!softmax :axis 0) (Linear n 1))"""


def pickled(model: Any) -> Any:
    return pickle.loads(pickle.dumps(model))


def through_torch(model: Any) -> Any:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


WAYS = [pickled, through_torch, copy.deepcopy, copy.copy]


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_has_the_state_the_ties_and_the_outputs(way: Any) -> None:
    model = read_lisp(TIED).model("Mlp")(2)
    copied = way(model)
    before, after = get_state_dict(model), get_state_dict(copied)
    assert list(before) == list(after)
    assert before.ties == after.ties != {}
    assert all(torch.equal(before[key], leaf) for key, leaf in after.items())
    x = torch.rand(3, 2)
    assert torch.equal(copied(x), model(x))
    assert (after["mlp.0.b.weight"] is before["mlp.0.b.weight"]) is (way is copy.copy)


@pytest.mark.parametrize("way", [copy.deepcopy, copy.copy])
def test_a_copy_has_the_same_class(way: Any) -> None:
    model = read_lisp(TIED).model("Net")(2)
    assert type(way(model)) is type(model)


def test_the_models_of_one_text_that_a_pickle_gives_have_one_class() -> None:
    model = read_lisp(TIED).model("Net")(2)
    first, second = pickled(model), pickled(model)
    assert type(first) is type(second)
    assert type(first.a[0]) is type(second.a[1])


def test_another_process_needs_no_file(tmp_path: Path) -> None:
    source = tmp_path / "gpt.lisp"
    source.write_text(GPT)
    torch.manual_seed(0)
    model = read_lisp(source).model("Scorer")(16, 2, 1, 1e-5, 11, max_seq_len=8)
    tokens = torch.tensor([[1, 2, 3]])
    expected = model(tokens, 0)
    torch.save((model, tokens, expected), tmp_path / "model.pt")
    source.unlink()
    code = """import sys, torch
model, tokens, expected = torch.load(sys.argv[1], weights_only=False)
assert torch.equal(model(tokens, 0), expected)"""
    run = [sys.executable, "-c", code, str(tmp_path / "model.pt")]
    subprocess.run(run, check=True, cwd=tmp_path, env={"PYTHONPATH": ":".join(sys.path)})


@pytest.mark.parametrize("function", ["(lambda (x) x)", "#'identity", "#'own"])
@pytest.mark.parametrize("slot", ["{}", "(list {})", "(asnode {})"])
def test_a_function_is_refused_in_one_sentence(slot: str, function: str) -> None:
    text = f"(defun own (x) x) (defmodel (Net ()) ((f {slot.format(function)})))"
    model = read_lisp(text).model("Net")()
    copy.deepcopy(model)
    with pytest.raises(ModelError, match="cannot be pickled; save the state dict") as caught:
        pickle.dumps(model)
    assert "\n" not in str(caught.value)
