"""Clauses on what comes back from a file: all of what was given, or a refusal by name."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from caten_sd.state.digest import digest
from caten_sd.state.leaf import Torch, as_array
from caten_sd.state.state_dict import StateDict
from caten_sd.testing.clause import clause
from caten_sd.testing.samples import KEYS, SHAPES, every_dtype, memory_orders, small_model
from caten_sd.testing.subject import KEY, Subject, copies, require, require_equal


@clause(one_leaf=True)
def dtypes(subject: Subject, /) -> None:
    """Each dtype comes back bit for bit, or is refused by its key before the first byte."""
    require(bool(dtypes_held(subject)), "it refuses every dtype")


def dtypes_held(subject: Subject) -> set[str]:
    """Return the names of the dtypes that come back bit for bit."""
    return {
        name
        for name, array in every_dtype().items()
        if _kept_or_refused(subject.apart(name), {KEY: array}, KEY)
    }


def _kept_or_refused(subject: Subject, given: dict[str, Any], key: str) -> bool:
    """Return whether a state dict comes back; a refusal has to name the key."""
    error = subject.refused(given)
    if error is not None:
        require(repr(key) in str(error), f"the refusal of {key!r} does not name it: {error}")
        return False
    require_equal(subject.arrays(), given)
    return True


@clause(one_leaf=True)
def shapes(subject: Subject, /) -> None:
    """Arrays without axes, without elements or with axes of size 1 come back as they were."""
    for number, shape in enumerate(SHAPES):
        given = {KEY: np.ones(shape, "f4")}
        _written_and_equal(subject.apart(number), given)


@clause(one_leaf=True)
def memory_order(subject: Subject, /) -> None:
    """An array comes back in the order of its elements, whatever their order in memory was."""
    for number, (kind, array) in enumerate(memory_orders().items()):
        here = subject.apart(number)
        if kind != "a transposed bfloat16" or here.refused({KEY: array}) is None:
            _written_and_equal(here.apart("again"), {KEY: array})


@clause(one_leaf=True)
def large_tensors(subject: Subject, /) -> None:
    """A tensor of several MB comes back, although its writer gets it in pieces."""
    _written_and_equal(subject, {KEY: np.random.default_rng(0).random((700, 1001))})


def _written_and_equal(subject: Subject, given: dict[str, Any]) -> None:
    subject.write(given)
    require_equal(subject.arrays(), given)


@clause(one_leaf=True)
def torch_tensors(subject: Subject, /) -> None:
    """A torch.Tensor, a transposed one and a Parameter are written as a numpy.ndarray is."""
    if importlib.util.find_spec("torch") is None:
        return
    import torch

    matrix = torch.arange(12.0).reshape(3, 4)
    given = {"a": matrix.T, "b": matrix[1:, ::2], "c": torch.nn.Parameter(torch.ones(2))}
    for name, tensor in given.items():
        here = subject.apart(name)
        here.write({KEY: tensor})
        with here.opened() as found:
            back = as_array(Torch(), found[KEY])
        require(torch.equal(back, tensor.detach()), f"{back} comes back for {tensor}")


@clause
def order(subject: Subject, /) -> None:
    """The keys come back in the order in which they were given."""
    _written_and_equal(subject, small_model())


@clause
def keys(subject: Subject, /) -> None:
    """A key that is empty, long or full of odd characters comes back or is refused."""
    for number, key in enumerate(KEYS):
        here, given = subject.apart(number), {"w": np.ones(2, "f4"), key: np.zeros(3, "f4")}
        if here.refused(given) is None:
            require_equal(here.arrays(), given)


@clause
def ties(subject: Subject, /) -> None:
    """A leaf under two keys is stored once and comes back tied, or is refused by name."""
    given = small_model(2000)
    tied = StateDict({**given, "lm_head.weight": given["wte.weight"]})
    error = subject.refused(tied)
    if error is not None:
        require("lm_head.weight" in str(error), f"the refusal does not name the key: {error}")
        return
    size, least = sum(map(len, subject.contents().values())), given["wte.weight"].nbytes
    require(size < 1.5 * least, f"a tied leaf of {least} bytes takes {size} bytes in the file")
    with subject.opened() as found:
        expected = {"lm_head.weight": "wte.weight"}
        require(dict(found.ties) == expected, f"the ties come back as {dict(found.ties)}")
        require_equal(copies(found), dict(tied))


@clause(metadata=True)
def metadata(subject: Subject, /) -> None:
    """Metadata comes back, unless the format says holds_metadata = False."""
    stamped = StateDict(small_model(), metadata={"caten_sd.layout": "hf-gpt2"})
    subject.write(stamped, metadata={"é": "ö"})
    expected = {"caten_sd.layout": "hf-gpt2", "é": "ö"}
    with subject.opened() as found:
        lost = {name: text for name, text in expected.items() if found.metadata.get(name) != text}
        require(not lost, f"the metadata {lost} comes back as {dict(found.metadata)}")


@clause
def nothing(subject: Subject, /) -> None:
    """A state dict without keys comes back without keys."""
    _written_and_equal(subject, {})


@clause
def digests(subject: Subject, /) -> None:
    """The digest is that of the arrays, and so that of every other format."""
    subject.write(small_model())
    with subject.opened() as found:
        require(digest(found) == digest(StateDict(small_model())), "the digest is another one")


@clause(one_leaf=True)
def values_that_are_no_tensors(subject: Subject, /) -> None:
    """A number, a text, None or any object is refused by its key before the first byte."""
    for number, value in enumerate((3, "text", None, object(), [1.0], {"w": 1})):
        error = subject.apart(number).refused({KEY: value})
        require(error is not None, f"{type(value).__name__} is written without an error")
        require(repr(KEY) in str(error), f"the refusal of {KEY!r} does not name it: {error}")
